//! Commands inside containers.

use std::{sync::Arc, time::Duration};

use bollard::{
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::{Docker, call::Call};
use crate::{CallClass, EngineError, ExecChunk, ExecOutput, ExecSession, ExecSpec, Resize, TtySize};

/// Buffer of an exec's output, in bytes: 8 KiB to 256 KiB differ by a quarter in throughput (measured 2026-11-21).
const OUTPUT_CAPACITY: usize = 64 << 10;
/// The same of one that lasts. The session with the agent of every host is one, and with the other these buffers were the largest
/// part of a coordinator of 1,000 hosts (measured 2026-11-26). A TLS record has 16 KiB.
const LASTING_CAPACITY: usize = 16 << 10;
/// An ended command's status is asked for after 5 ms, and then ever less often up to this.
const EXIT_POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

impl Docker {
    pub(super) async fn run(
        &self,
        id: &str,
        spec: &ExecSpec,
        limit: usize,
    ) -> Result<ExecOutput, EngineError> {
        let call = Call::container("exec", id, CallClass::Exec);
        let (exec, started) = self.begin(id, spec, false).await?;
        let StartExecResults::Attached { mut output, .. } = started else {
            return Err(self.bad_answer(&call, "the command is detached"));
        };
        let collected = async {
            let (mut stdout, mut stderr, mut truncated) = (BytesMut::new(), BytesMut::new(), false);
            while let Some(chunk) = output.try_next().await? {
                let (kept, bytes) = match piece(chunk) {
                    ExecChunk::Stdout(bytes) => (&mut stdout, bytes),
                    ExecChunk::Stderr(bytes) => (&mut stderr, bytes),
                };
                let room = limit.saturating_sub(kept.len()).min(bytes.len());
                truncated |= room < bytes.len();
                kept.extend_from_slice(&bytes[..room]);
            }
            let status = self.exit_status(&exec).await?;
            Ok::<_, Error>(ExecOutput { status, stdout: stdout.freeze(), stderr: stderr.freeze(), truncated })
        };
        self.call(&call, collected).await
    }

    pub(super) async fn attach(&self, id: &str, spec: &ExecSpec) -> Result<ExecSession, EngineError> {
        let call = Call::container("exec", id, CallClass::Exec);
        let (exec, started) = self.begin(id, spec, true).await?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(self.bad_answer(&call, "the command is detached"));
        };
        let (streamed, reader) = (self.clone(), call.clone());
        let output =
            output.map(move |chunk| chunk.map(piece).map_err(|error| streamed.fault(&reader, error)));
        let resize = spec.tty.map(|_| self.resize(id, &exec));
        if let (Some(resize), Some(size)) = (&resize, spec.tty)
            && let Err(error) = resize(size).await
        {
            // One that ended at once has no terminal any more.
            tracing::debug!(%error, "a terminal keeps the size it was made with");
        }
        let asked = self.clone();
        let exit = async move { asked.exit_status(&exec).await.map_err(|error| asked.fault(&call, error)) };
        Ok(ExecSession { stdin: input, output: output.boxed(), resize, exit: Box::pin(exit) })
    }

    /// What changes the size of a command's terminal. An engine waits for a command that is being started.
    fn resize(&self, id: &str, exec: &str) -> Resize {
        let (docker, exec) = (self.clone(), exec.to_owned());
        let call = Call::container("resize exec", id, CallClass::Write);
        Arc::new(move |TtySize { rows, columns }| {
            let (docker, call, exec) = (docker.clone(), call.clone(), exec.clone());
            let options = ResizeExecOptions { height: rows, width: columns };
            async move { docker.call(&call, docker.bollard.resize_exec(&exec, options)).await }.boxed()
        })
    }

    /// Creates and starts a command; its id and streams.
    async fn begin(
        &self,
        id: &str,
        spec: &ExecSpec,
        stdin: bool,
    ) -> Result<(String, StartExecResults), EngineError> {
        let call = Call::container("exec", id, CallClass::Write);
        let options = CreateExecOptions {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(spec.tty.is_some()),
            env: Some(spec.env.clone()),
            cmd: Some(spec.cmd.clone()),
            user: spec.user.clone(),
            working_dir: spec.dir.clone(),
            ..CreateExecOptions::default()
        };
        let exec = self.call(&call, self.bollard.create_exec(id, options)).await?.id;
        let options = StartExecOptions {
            detach: false,
            tty: spec.tty.is_some(),
            output_capacity: Some(if spec.lasting { LASTING_CAPACITY } else { OUTPUT_CAPACITY }),
        };
        let started = self.call(&call, self.bollard.start_exec(&exec, Some(options))).await?;
        Ok((exec, started))
    }

    /// The status of a command, once it has ended. Its output ends an instant before the engine knows the status, and a
    /// command may live on after it closed its output.
    async fn exit_status(&self, exec: &str) -> Result<i64, Error> {
        let (mut pause, longest) = EXIT_POLL;
        loop {
            let asked = tokio::time::timeout(self.timeouts.read, self.bollard.inspect_exec(exec));
            let state = asked.await.map_err(|_| Error::RequestTimeoutError)??;
            if let (Some(false), Some(code)) = (state.running, state.exit_code) {
                return Ok(code);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

fn piece(output: LogOutput) -> ExecChunk {
    match output {
        LogOutput::StdErr { message } => ExecChunk::Stderr(message),
        // Unframed text is the engine's own, about why the command could not be run.
        LogOutput::StdOut { message } | LogOutput::Console { message } => ExecChunk::Stdout(message),
        LogOutput::StdIn { .. } => ExecChunk::Stdout(Bytes::new()),
    }
}
