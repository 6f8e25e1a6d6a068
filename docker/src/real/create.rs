//! From our specification of a container to the engine's.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HostConfig,
    HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount as DockerMount, MountType, NetworkingConfig,
    ResourcesUlimits, RestartPolicy as DockerRestart, RestartPolicyNameEnum,
};
use shoal_types::{Bytes, CgroupWay};

use crate::{ContainerNetwork, ContainerSpec, LogLimits, Mount, ProcessLimit, RestartPolicy};

pub(super) fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: spec.hostname.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.cmd.clone(),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        stop_signal: spec.stop_signal.clone(),
        host_config: Some(host_config(spec)),
        networking_config: networking(&spec.network),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let mut config = HostConfig {
        network_mode: Some(match &spec.network {
            ContainerNetwork::None => "none".to_owned(),
            ContainerNetwork::Host => "host".to_owned(),
            ContainerNetwork::Bridge { network, .. } => network.clone(),
        }),
        nano_cpus: spec.cpu.map(|cpu| clamp(cpu.0.saturating_mul(1_000_000))),
        memory: spec.memory.map(|memory| clamp(memory.0)),
        // Memory and swap together: equal to memory means no swap.
        memory_swap: spec.memory.map(|memory| clamp(memory.0)),
        pids_limit: spec.pids.map(i64::from),
        ulimits: Some(spec.limits.iter().map(limit).collect()),
        readonly_rootfs: Some(spec.read_only),
        mounts: Some(spec.mounts.iter().filter_map(mount).collect()),
        tmpfs: Some(spec.mounts.iter().filter_map(tmpfs).collect()),
        devices: Some(spec.devices.iter().map(|path| device(path)).collect()),
        cap_add: Some(spec.cap_add.clone()),
        cap_drop: Some(spec.cap_drop.clone()),
        security_opt: Some(spec.security_opts.clone()),
        pid_mode: spec.host_pids.then(|| "host".to_owned()),
        restart_policy: Some(DockerRestart {
            name: Some(match spec.restart {
                RestartPolicy::No => RestartPolicyNameEnum::NO,
                RestartPolicy::Always => RestartPolicyNameEnum::ALWAYS,
            }),
            maximum_retry_count: None,
        }),
        log_config: Some(log(spec.log)),
        // An engine may be set to put its own init before everybody's first process; systemd must be PID 1.
        init: Some(false),
        ..HostConfig::default()
    };
    match spec.cgroup {
        None => {}
        Some(CgroupWay::Writable) => {
            config.cgroupns_mode = Some(HostConfigCgroupnsModeEnum::PRIVATE);
            config.security_opt.get_or_insert_default().push("writable-cgroups=true".to_owned());
        }
        Some(CgroupWay::SysAdmin) => {
            config.cgroupns_mode = Some(HostConfigCgroupnsModeEnum::PRIVATE);
            config.cap_add.get_or_insert_default().push("SYS_ADMIN".to_owned());
            let unconfined = ["seccomp=unconfined", "apparmor=unconfined"].map(str::to_owned);
            config.security_opt.get_or_insert_default().extend(unconfined);
        }
    }
    config
}

/// -1 is none.
fn limit(limit: &ProcessLimit) -> ResourcesUlimits {
    let value = |limit: Option<u64>| Some(limit.map_or(-1, clamp));
    ResourcesUlimits { name: Some(limit.name.clone()), soft: value(limit.soft), hard: value(limit.hard) }
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn mount(mount: &Mount) -> Option<DockerMount> {
    match mount {
        Mount::Volume { name, target } => Some(DockerMount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            ..DockerMount::default()
        }),
        Mount::Bind { source, target, read_only } => Some(DockerMount {
            typ: Some(MountType::BIND),
            source: Some(source.clone()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            ..DockerMount::default()
        }),
        Mount::Tmpfs { .. } => None,
    }
}

/// As `HostConfig.Tmpfs`, since a tmpfs under `HostConfig.Mounts` cannot be made executable before API 1.46.
fn tmpfs(mount: &Mount) -> Option<(String, String)> {
    match mount {
        Mount::Tmpfs { target, size, mode } => {
            let size = size.map(|Bytes(size)| format!(",size={size}")).unwrap_or_default();
            Some((target.clone(), format!("rw,exec,nosuid,nodev,mode={mode:o}{size}")))
        }
        Mount::Volume { .. } | Mount::Bind { .. } => None,
    }
}

fn device(path: &str) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.to_owned()),
        path_in_container: Some(path.to_owned()),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}

fn log(limits: LogLimits) -> HostConfigLogConfig {
    let config = [
        ("max-size".to_owned(), limits.max_size.0.to_string()),
        ("max-file".to_owned(), limits.max_files.to_string()),
    ];
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(config.into()) }
}

fn networking(network: &ContainerNetwork) -> Option<NetworkingConfig> {
    let ContainerNetwork::Bridge { network, address, mac } = network else { return None };
    let settings = EndpointSettings {
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        mac_address: mac.map(|mac| mac.to_string()),
        ..EndpointSettings::default()
    };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(network.clone(), settings)])) })
}

#[cfg(test)]
mod tests {
    use shoal_types::{MacAddr, MilliCpu};

    use super::*;

    fn host(spec: ContainerSpec) -> HostConfig {
        body(&spec).host_config.unwrap()
    }

    #[test]
    fn limits() {
        let host = host(ContainerSpec {
            cpu: Some(MilliCpu(50)),
            memory: Some(Bytes::mib(64)),
            pids: Some(500),
            limits: vec![ProcessLimit { name: "nofile".into(), soft: Some(1000), hard: None }],
            read_only: true,
            ..ContainerSpec::default()
        });
        assert_eq!(host.nano_cpus, Some(50_000_000));
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.pids_limit, host.readonly_rootfs), (Some(500), Some(true)));
        let files = host.ulimits.unwrap().remove(0);
        assert_eq!((files.name.as_deref(), files.soft, files.hard), (Some("nofile"), Some(1000), Some(-1)));
        assert_eq!(host.init, Some(false));
    }

    #[test]
    fn both_ways_of_a_writable_cgroup_tree() {
        let way = |way| host(ContainerSpec { cgroup: Some(way), ..ContainerSpec::default() });
        let writable = way(CgroupWay::Writable);
        assert_eq!(writable.security_opt.unwrap(), ["writable-cgroups=true"]);
        assert_eq!(writable.cap_add.unwrap(), Vec::<String>::new());
        let admin = way(CgroupWay::SysAdmin);
        assert_eq!(admin.security_opt.unwrap(), ["seccomp=unconfined", "apparmor=unconfined"]);
        assert_eq!(admin.cap_add.unwrap(), ["SYS_ADMIN"]);
        assert_eq!(host(ContainerSpec::default()).cgroupns_mode, None);
    }

    #[test]
    fn the_endpoint_carries_address_and_mac() {
        let address = "10.96.4.2".parse().unwrap();
        let network = ContainerNetwork::Bridge {
            network: "n1".into(),
            address: Some(address),
            mac: Some(MacAddr::of(address)),
        };
        let body = body(&ContainerSpec { network, ..ContainerSpec::default() });
        let endpoints = body.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(endpoints["n1"].mac_address.as_deref(), Some("02:42:0a:60:04:02"));
        assert_eq!(endpoints["n1"].ipam_config.as_ref().unwrap().ipv4_address.as_deref(), Some("10.96.4.2"));
        assert_eq!(body.host_config.unwrap().network_mode.as_deref(), Some("n1"));
    }

    #[test]
    fn tmpfs_is_executable_and_bounded() {
        let tmp = Mount::Tmpfs { target: "/tmp".into(), size: Some(Bytes(4096)), mode: 0o1777 };
        let host = host(ContainerSpec { mounts: vec![tmp], ..ContainerSpec::default() });
        assert_eq!(host.tmpfs.unwrap()["/tmp"], "rw,exec,nosuid,nodev,mode=1777,size=4096");
        assert_eq!(host.mounts, Some(vec![]));
    }
}
