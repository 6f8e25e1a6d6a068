//! How a node's container ended, as its engine tells it.

use std::{fmt, time::Duration};

use shoal_docker::{ContainerDetail, ContainerState, EngineError};

use crate::fleet::HostLink;

/// How a container ended: `exited, exit status 137, out of memory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    state: ContainerState,
    pub(crate) exit_status: Option<i64>,
    pub(crate) out_of_memory: bool,
    /// Why it could not be started; empty if it could.
    error: String,
    /// For how long it had run; `None`: its engine does not know.
    pub(crate) ran: Option<Duration>,
}

impl End {
    fn of(detail: ContainerDetail) -> Self {
        let run = detail.started.zip(detail.ended).filter(|(started, ended)| started <= ended);
        Self {
            state: detail.state,
            exit_status: detail.exit_code,
            out_of_memory: detail.oom_killed,
            error: detail.error,
            ran: run.map(|(started, ended)| ended.since(started)),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.state).to_lowercase())?;
        if let Some(status) = self.exit_status {
            write!(f, ", exit status {status}")?;
        }
        if self.out_of_memory {
            f.write_str(", out of memory")?;
        }
        match self.error.as_str() {
            "" => Ok(()),
            error => write!(f, " {}", error.to_lowercase()),
        }
    }
}

/// How a container ended; `None`: it is gone.
pub(crate) async fn end_of(link: &HostLink, container: &str) -> Result<Option<End>, EngineError> {
    Ok(link.engine.inspect_container(container).await?.map(End::of))
}

#[cfg(test)]
impl End {
    /// One with this status, after a second.
    pub(crate) fn sample(status: i64) -> Self {
        Self {
            state: ContainerState::Exited,
            exit_status: Some(status),
            out_of_memory: false,
            error: String::new(),
            ran: Some(Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Timestamp;

    use super::*;

    #[test]
    fn an_end_is_told_on_one_line_with_how_long_it_took() {
        let detail = |started, ended| ContainerDetail {
            id: "c".into(),
            name: "c".into(),
            labels: [].into(),
            state: ContainerState::Exited,
            pid: None,
            exit_code: Some(137),
            oom_killed: true,
            started,
            ended,
            error: String::new(),
            image_id: String::new(),
            attachments: vec![],
        };
        let at = |ms| Some(Timestamp(ms));
        let end = End::of(detail(at(1000), at(3500)));
        assert_eq!(end.to_string(), "exited, exit status 137, out of memory");
        assert_eq!(end.ran, Some(Duration::from_millis(2500)));
        // What an engine has of an earlier run is none of this one.
        assert_eq!(End::of(detail(at(1000), at(900))).ran, None);
        assert_eq!(End::of(detail(at(1000), None)).ran, None);
        let unable = End { error: "No such device".into(), out_of_memory: false, ..end };
        assert_eq!(unable.to_string(), "exited, exit status 137 no such device");
    }
}
