//! Commands inside containers.

use std::{pin::pin, sync::Arc, time::Duration};

use bollard::{
    errors::Error,
    exec::{CreateExecOptions, ResizeExecOptions},
};
use bytes::BytesMut;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::{
    Docker,
    call::{Call, is_name},
    frames::output,
};
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
        let (exec, connection) = self.command(id, spec, false).await?;
        let collected = async {
            let mut output = pin!(output(connection, false, OUTPUT_CAPACITY));
            let (mut stdout, mut stderr, mut truncated) = (BytesMut::new(), BytesMut::new(), false);
            while let Some(chunk) = output.try_next().await? {
                let (kept, bytes) = match chunk {
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
        let (exec, connection) = self.command(id, spec, true).await?;
        let (reader, input) = tokio::io::split(connection);
        let (streamed, read) = (self.clone(), call.clone());
        let capacity = if spec.lasting { LASTING_CAPACITY } else { OUTPUT_CAPACITY };
        let output =
            output(reader, spec.tty.is_some(), capacity).map_err(move |error| streamed.fault(&read, error));
        let resize = spec.tty.map(|_| self.resize(id, &exec));
        if let (Some(resize), Some(size)) = (&resize, spec.tty)
            && let Err(error) = resize(size).await
        {
            // One that ended at once has no terminal any more.
            tracing::debug!(%error, "a terminal keeps the size it was made with");
        }
        let asked = self.clone();
        let exit = async move { asked.exit_status(&exec).await.map_err(|error| asked.fault(&call, error)) };
        Ok(ExecSession { stdin: Box::pin(input), output: output.boxed(), resize, exit: Box::pin(exit) })
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

    /// Creates and starts a command; its id, and the connection that is its input and output.
    async fn command(
        &self,
        id: &str,
        spec: &ExecSpec,
        stdin: bool,
    ) -> Result<(String, TokioIo<Upgraded>), EngineError> {
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
        if !is_name(&exec) {
            return Err(self.bad_answer(&call, "an id that is none"));
        }
        let connection = self.call(&call, self.hijack(&exec, spec.tty.is_some())).await?;
        Ok((exec, connection))
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
