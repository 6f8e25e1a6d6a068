//! What an engine says of itself.

use bollard::models::SystemInfoCgroupVersionEnum;
use shoal_types::{Bytes, EngineFacts};

use super::{Docker, bounds::WORDS, call::Call};
use crate::{CallClass, EngineError, LabelFilter, Subject};

impl Docker {
    pub(super) async fn alive(&self) -> Result<(), EngineError> {
        let call = Call::new("ping", Subject::Engine, CallClass::Read);
        self.call(&call, self.whole("/_ping", None::<()>, WORDS)).await.map(drop)
    }

    pub(super) async fn describe(&self) -> Result<EngineFacts, EngineError> {
        let call = Call::new("info", Subject::Engine, CallClass::Read);
        let info = self.call(&call, self.bollard.info()).await?;
        let networks = self.networks(&LabelFilter::all()).await?;
        let security = info.security_options.unwrap_or_default();
        // `name=rootless` or `name=seccomp,profile=default`.
        let has = |option: &str| security.iter().any(|text| text.split(',').any(|word| word == option));
        Ok(EngineFacts {
            id: self.need(&call, "ID", info.id)?,
            version: self.need(&call, "ServerVersion", info.server_version)?,
            api_version: self.api_version.to_string(),
            architecture: self.need(&call, "Architecture", info.architecture)?,
            cpus: self.need(&call, "NCPU", info.ncpu.and_then(|n| u32::try_from(n).ok()))?,
            memory: Bytes(self.need(
                &call,
                "MemTotal",
                info.mem_total.and_then(|n| u64::try_from(n).ok()),
            )?),
            cgroup_version: match info.cgroup_version {
                Some(SystemInfoCgroupVersionEnum::_1) => 1,
                Some(SystemInfoCgroupVersionEnum::_2) => 2,
                Some(SystemInfoCgroupVersionEnum::EMPTY) | None => 0,
            },
            storage_driver: self.need(&call, "Driver", info.driver)?,
            kernel: self.need(&call, "KernelVersion", info.kernel_version)?,
            hostname: self.need(&call, "Name", info.name)?,
            operating_system: self.need(&call, "OperatingSystem", info.operating_system)?,
            rootless: has("name=rootless"),
            userns_remap: has("name=userns"),
            cpu_limits: info.cpu_cfs_quota.unwrap_or(false),
            subnets: networks.into_iter().flat_map(|network| network.subnets).collect(),
        })
    }
}
