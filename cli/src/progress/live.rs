//! The live view on a terminal: a thread that keeps the view, and draws it until it is told the end.

use std::{
    io::{self, Write},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anstream::{AutoStream, ColorChoice};
use shoal_api::Placed;
use shoal_types::{Clock, Event, SystemClock};

use super::{
    Stream,
    draw::{Block, Cursor, Size},
    frame::frame,
    line::Line,
    view::View,
};

/// How long a frame stands at least, and how often the time it shows moves on.
const FRAME: Duration = Duration::from_millis(100);
/// Messages that wait for the terminal.
const QUEUE: usize = 1024;
/// Of a terminal that does not tell its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// What the view is told.
#[derive(Debug)]
pub(super) enum Said {
    Event(Box<Event>),
    Placed(Placed),
    /// The work on a host ended, and whether well.
    Ended(String, bool, String),
    /// A program's output.
    Output(String),
    /// A line that stays above the view.
    Note(String),
    /// The work is done: the view goes, for a summary to stand in its place.
    Done,
}

/// A view that is being drawn.
#[derive(Debug)]
pub(super) struct Live {
    said: Option<SyncSender<Said>>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Draws a view on a terminal from now on.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(view: View, on: Stream) -> io::Result<Self> {
        let (said, heard) = mpsc::sync_channel(QUEUE);
        let thread = thread::Builder::new().name("live view".into()).spawn(move || {
            let mut out = on.out();
            // A terminal that is gone shows nothing; the work goes on.
            let _ = run(view, &heard, on, &mut out);
            on.cursor().restore(&mut out);
        })?;
        Ok(Self { said: Some(said), thread: Some(thread) })
    }

    /// Tells it something. What it cannot show is lost.
    pub(super) fn tell(&self, said: Said) {
        if let Some(sender) = &self.said {
            drop(sender.send(said));
        }
    }
}

impl Drop for Live {
    /// Waits until the terminal is as it was.
    fn drop(&mut self) {
        self.said = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(mut view: View, heard: &Receiver<Said>, on: Stream, out: &mut impl Write) -> io::Result<()> {
    let mut block = Block::new(on.has_colours());
    let mut above: Vec<Line> = Vec::new();
    let mut drawn: Option<Instant> = None;
    on.cursor().hide(out)?;
    loop {
        let wait = drawn.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()));
        let end = match heard.recv_timeout(wait) {
            Ok(Said::Done) => Some(true),
            Ok(said) => {
                take(&mut view, &mut above, said);
                None
            }
            Err(RecvTimeoutError::Timeout) => None,
            // It failed: what was known last stays.
            Err(RecvTimeoutError::Disconnected) => Some(false),
        };
        let due = drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME);
        if due || end.is_some() {
            let size = on.size();
            let lines = match end {
                Some(true) => Vec::new(),
                Some(false) if view.is_empty() => Vec::new(),
                Some(false) | None => frame(&view, SystemClock.now().0, size),
            };
            let text = block.frame(&above, lines, size);
            above.clear();
            out.write_all(text.as_bytes())?;
            out.flush()?;
            drawn = Some(Instant::now());
        }
        if end.is_some() {
            return Ok(());
        }
    }
}

fn take(view: &mut View, above: &mut Vec<Line>, said: Said) {
    match said {
        Said::Event(event) => view.happened(&event),
        Said::Placed(placed) => view.placed(placed),
        Said::Ended(host, well, how) => view.ended(&host, well, how),
        Said::Output(line) => view.said(&line),
        Said::Note(line) => above.push(Line::default().text(line)),
        Said::Done => {}
    }
}

/// Cursors of the two terminals there may be. Who ends the process shows them.
static STDOUT: Cursor = Cursor::shown();
static STDERR: Cursor = Cursor::shown();

/// Shows the cursor again, where a view is being drawn.
pub(crate) fn restore_terminal() {
    STDOUT.restore(&mut io::stdout());
    STDERR.restore(&mut io::stderr());
}

impl Stream {
    fn cursor(self) -> &'static Cursor {
        match self {
            Self::Stdout => &STDOUT,
            Self::Stderr => &STDERR,
        }
    }

    /// The size of its terminal now.
    fn size(self) -> Size {
        let size = match self {
            Self::Stdout => terminal_size::terminal_size_of(io::stdout()),
            Self::Stderr => terminal_size::terminal_size_of(io::stderr()),
        };
        size.filter(|(columns, rows)| columns.0 > 0 && rows.0 > 0)
            .map_or(USUAL, |(columns, rows)| Size { columns: columns.0.into(), rows: rows.0.into() })
    }

    /// Whether who looks at it wants colours.
    fn has_colours(self) -> bool {
        let choice = match self {
            Self::Stdout => AutoStream::choice(&io::stdout()),
            Self::Stderr => AutoStream::choice(&io::stderr()),
        };
        choice != ColorChoice::Never
    }

    /// Where frames are written.
    fn out(self) -> Box<dyn Write> {
        match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::Stderr => Box::new(io::stderr()),
        }
    }
}
