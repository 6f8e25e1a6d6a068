//! What ends a command whose client has gone.
//!
//! An engine never ends an exec: a command that does not read its input outlives a client that is interrupted, cut off or
//! killed. So every command has a companion beside it in the same container, a shell that only reads its own input:
//!
//! ```text
//! command ends        -> "done" --> companion ends
//! client, or this process, is gone -> end of input --> companion finds the command by its mark: SIGHUP, after 2 s SIGKILL
//! ```
//! The engine closes the companion's input when the connection breaks, so it works after a SIGKILL of this process too. The mark
//! is a variable in the command's environment. Only the process that the engine started is looked for (inside the container it has
//! no parent), and its process group is signalled, as a closed terminal does: what was put into the background with setsid(1) or
//! nohup(1) lives on.

use std::{pin::Pin, time::Duration};

use futures_util::StreamExt as _;
use shoal_docker::{Engine, EngineError, ExecSession, ExecSpec};
use shoal_storage::Rng;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// The companion: its only argument is the mark. It needs a shell, grep and sleep, which every image of nodes has.
const COMPANION: &str = r#"echo here
read -r word
[ "$word" = done ] && exit 0
marked() {
    for found in $(grep -lszxF -e "$1" /proc/[0-9]*/environ); do
        pid=${found%/environ}
        grep -qsx 'PPid:[[:space:]]*0' "$pid/status" && printf '%s\n' "${pid#/proc/}"
    done
}
for pid in $(marked "$1"); do kill -s HUP -- "-$pid"; done
for i in 1 2 3 4 5 6 7 8 9 10; do
    [ -z "$(marked "$1")" ] && exit 0
    sleep 0.2
done
for pid in $(marked "$1"); do kill -s KILL -- "-$pid"; done
"#;
/// How long an engine may take to run it: an exec answers before its process runs. One that has said nothing until then may come
/// too late for a client that goes at once.
const START: Duration = Duration::from_secs(5);
/// What tells it that the command has ended.
const DONE: &[u8] = b"done\n";
/// How long an engine may take to hand that on; a companion that does not hear it finds nothing to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// What tells one command in a container from every other.
#[derive(Debug, Clone)]
pub(crate) struct Mark(String);

impl Mark {
    /// A new one.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self::of(&hex::encode(crate::words::entropy::draw::<12>(rng)))
    }

    /// The one of this text.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The variable of the command's environment.
    pub(crate) fn variable(&self) -> String {
        format!("SHOAL_EXEC={}", self.0)
    }
}

/// Ends a command when it is dropped, or this process ends.
pub(crate) struct Lifeline {
    stdin: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Lifeline {
    /// Starts the companion of the command with this mark, as the same user, who alone may look for it, and waits until it is
    /// there: what a client reads of the command, it reads when the command has its companion.
    ///
    /// # Errors
    /// As [`Engine::attach_exec`].
    pub(crate) async fn attach(
        engine: &dyn Engine,
        container: &str,
        mark: &Mark,
        user: Option<&str>,
    ) -> Result<Self, EngineError> {
        let words = ["sh", "-c", COMPANION, "shoal-lifeline", &mark.variable()];
        let ExecSession { stdin, mut output, .. } = engine
            .attach_exec(container, &ExecSpec { user: user.map(str::to_owned), ..ExecSpec::new(words) })
            .await?;
        if timeout(START, output.next()).await.is_err() {
            tracing::debug!("a command's companion is late");
        }
        Ok(Self { stdin })
    }

    /// The command has ended by itself.
    pub(crate) async fn not_needed(mut self) {
        let told = async {
            self.stdin.write_all(DONE).await?;
            self.stdin.shutdown().await
        };
        if !matches!(timeout(GOODBYE, told).await, Ok(Ok(()))) {
            tracing::debug!("a companion was not told that its command has ended");
        }
    }
}
