//! How a person or a program sees work under way. Every way is a reader of events: those of the store's table, or, where a
//! command has none there, events made of what it is told.
//!
//! ```text
//! events --> live   a view drawn in place (view.rs -> frame.rs -> draw.rs, by the thread of live.rs)
//!        `-> plain  a line each, with its time
//!        `-> json   an object each, one a line
//!        `-> quiet  nothing
//! ```

mod draw;
mod frame;
mod line;
mod live;
mod mode;
mod plain;
mod transfer;
mod view;

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::Serialize;
use shoal_api::{EventJson, Placed};
use shoal_types::{
    Bytes, Clock, Event, EventKind, EventLevel, HostName, NewEvent, Progress as Transferred, SystemClock,
};

pub(crate) use self::view::Task;
pub(crate) use self::{live::restore_terminal, mode::ProgressArgs};
use self::{
    live::{Live, Said},
    mode::{Stream, Way},
    plain::Plain,
    view::View,
};
use crate::{
    error::CliError,
    escape,
    output::{Detail, Screen, Width, data, event_line},
};

#[derive(Debug)]
enum Shown {
    Quiet,
    Live(Live),
    Plain(Plain, TimeZone),
    Json,
}

/// Progress of one command, and its result at the end.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    stream: Stream,
    shown: Shown,
}

impl Progress {
    /// Of work that begins now.
    ///
    /// # Errors
    /// [`CliError::Usage`]: a live view was asked for, and there is no terminal for it. [`CliError::Runtime`]: it cannot run.
    pub(crate) fn start(
        mode: ProgressArgs,
        screen: Screen,
        task: Task,
        subject: impl Into<String>,
    ) -> Result<Self, CliError> {
        let stream = if screen.is_for_people() { Stream::Stdout } else { Stream::Stderr };
        let shown = match mode.way(screen.quiet, stream)? {
            Way::Quiet => Shown::Quiet,
            Way::Live => {
                let view = View::new(task, subject, SystemClock.now().0);
                Shown::Live(Live::start(view, stream).map_err(CliError::Runtime)?)
            }
            Way::Plain => Shown::Plain(Plain::default(), TimeZone::system()),
            Way::Json => Shown::Json,
        };
        Ok(Self { screen, stream, shown })
    }

    /// Something happened.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), CliError> {
        match &mut self.shown {
            Shown::Quiet => Ok(()),
            Shown::Live(live) => {
                // It holds for as long as the cluster is there: it stands above the view, which shows what passes.
                if (event.event.kind, event.event.level) == (EventKind::Admitted, EventLevel::Warn) {
                    live.tell(Said::Note(format!("warning: {}", event.event.message)));
                    return Ok(());
                }
                live.tell(Said::Event(Box::new(event.clone())));
                Ok(())
            }
            Shown::Plain(plain, zone) => match plain.tells(event) {
                true => self.stream.line(&event_line(event, zone)),
                false => Ok(()),
            },
            Shown::Json => self.stream.line(&data::json_line(&EventJson::from(event))?),
        }
    }

    /// A cluster's nodes are placed.
    pub(crate) fn placed(&mut self, placed: Placed) {
        match &self.shown {
            Shown::Live(live) => live.tell(Said::Placed(placed)),
            Shown::Quiet | Shown::Plain(..) | Shown::Json => {}
        }
    }

    /// Work on a host ended, of a command without events in the store's table. As a line it is part of the result.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn ended(&mut self, host: &str, well: bool, how: &str) -> Result<(), CliError> {
        match &self.shown {
            Shown::Live(live) => {
                live.tell(Said::Ended(host.to_owned(), well, how.to_owned()));
                Ok(())
            }
            Shown::Json => {
                let level = if well { EventLevel::Info } else { EventLevel::Error };
                let host = host.parse().ok();
                self.event(&unrecorded(NewEvent { level, host, ..made(EventKind::Image, how) }))
            }
            Shown::Quiet | Shown::Plain(..) => Ok(()),
        }
    }

    /// A program that does the work said something.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn output(&mut self, line: &str) -> Result<(), CliError> {
        match &self.shown {
            Shown::Live(live) => {
                live.tell(Said::Output(line.to_owned()));
                Ok(())
            }
            Shown::Quiet | Shown::Plain(..) | Shown::Json => {
                self.event(&unrecorded(made(EventKind::Step, line)))
            }
        }
    }

    /// Something to be said that is no event.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn note(&mut self, line: &str) -> Result<(), CliError> {
        match &self.shown {
            Shown::Quiet => Ok(()),
            Shown::Live(live) => {
                live.tell(Said::Note(line.to_owned()));
                Ok(())
            }
            Shown::Plain(..) => self.stream.line(&escape::line(line)),
            Shown::Json => self.event(&unrecorded(made(EventKind::Step, line))),
        }
    }

    /// Takes a view away whose last frame would tell less than what was said above it.
    pub(crate) fn clear(&self) {
        if let Shown::Live(live) = &self.shown {
            live.tell(Said::Done);
        }
    }

    /// The end, with its result: names, data or a text for people. Where standard output carries events for a program, the text for
    /// people is left out.
    ///
    /// # Errors
    /// [`CliError::Stdout`]: nobody takes it.
    pub(crate) fn result<T: Serialize>(
        self,
        value: &T,
        names: impl IntoIterator<Item = String>,
        human: impl FnOnce(Width, Detail) -> String,
    ) -> Result<(), CliError> {
        let Self { screen, shown, .. } = self;
        match shown {
            Shown::Json if screen.is_for_people() => return Ok(()),
            Shown::Live(live) => live.tell(Said::Done),
            Shown::Quiet | Shown::Plain(..) | Shown::Json => {}
        }
        screen.named(value, names, human)
    }
}

/// What a command without events in the store's table says, in their shape.
fn made(kind: EventKind, message: &str) -> NewEvent {
    NewEvent::new(SystemClock.now(), EventLevel::Info, kind, message)
}

/// An event that is in no table.
fn unrecorded(event: NewEvent) -> Event {
    Event { seq: 0, event }
}

/// How far a transfer to a host is, as an event.
pub(crate) fn transfer(host: HostName, done_bytes: u64, total_bytes: u64) -> Event {
    let message = format!("{} of {}", Bytes(done_bytes), Bytes(total_bytes));
    let progress = Some(Transferred { done_bytes, total_bytes: Some(total_bytes) });
    unrecorded(NewEvent { host: Some(host), progress, ..made(EventKind::Image, &message) })
}

impl Stream {
    /// A line on it.
    fn line(self, line: &str) -> Result<(), CliError> {
        match self {
            Self::Stdout => {
                let mut out = anstream::AutoStream::auto(io::stdout().lock());
                writeln!(out, "{line}").and_then(|()| out.flush()).map_err(CliError::Stdout)
            }
            Self::Stderr => {
                // Who closed standard error does not want to know.
                let _ = writeln!(anstream::AutoStream::auto(io::stderr().lock()), "{line}");
                Ok(())
            }
        }
    }
}
