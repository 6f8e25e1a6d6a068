//! Writes the bootstrap archives of a made-up cluster, one `<node>.tar` each, and says how long that took: a way to boot nodes by
//! hand (`docker create`, `docker cp - NODE:/ < NODE.tar`, `docker start`) and to see what they get.
//!
//! ```text
//! cargo run -p shoal-slurm --example archives -- DIRECTORY /etc/passwd-of-the-image 10.96.0.0/24 WORKERS
//! ```

use std::{env, error::Error, fs, path::PathBuf, time::Instant};

use ipnet::Ipv4Net;
use shoal_slurm::{Accounts, BootstrapTemplate, ClusterKeys, ClusterView, NodeView, known_hosts};
use shoal_types::{ClusterName, NodeGroup, NodeName, RealmName, Role, SlurmSpec, SubnetPlan};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: [String; 4] = env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: archives DIRECTORY PASSWD SUBNET WORKERS")?;
    let [directory, passwd, subnet, workers] = arguments;
    let (directory, subnet): (_, Ipv4Net) = (PathBuf::from(directory), subnet.parse()?);
    let accounts = Accounts::parse(&fs::read_to_string(passwd)?)?;

    let plan = SubnetPlan { subnet };
    let slurm = SlurmSpec::default();
    let names = [Role::Controller, Role::Submitter].map(|role| (role.to_string(), role)).into_iter();
    let names = names.chain((0..workers.parse::<u32>()?).map(|n| (format!("worker-{n}"), Role::Worker)));
    let nodes = names.zip(0..).map(|((name, role), number)| -> Result<NodeView, Box<dyn Error>> {
        let address = plan.node(number).ok_or("the subnet is too small")?;
        let size = NodeGroup::new(role, 1, None, None).size(&slurm);
        Ok(NodeView::new(name.parse()?, role, address, &size))
    });
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    let names: Vec<NodeName> = nodes.iter().map(|node| node.name.clone()).collect();
    let (realm, cluster) = (RealmName::default(), ClusterName::default());
    let view = ClusterView::new(realm, cluster, subnet, plan.gateway(), nodes, slurm.clone())?;
    // A real cluster's seed is random and sealed; this one is for looking at.
    let keys = ClusterKeys::derive(&[0; 32]);

    fs::create_dir_all(&directory)?;
    fs::write(directory.join("known_hosts"), known_hosts(&view, &keys)?)?;
    let started = Instant::now();
    let template = BootstrapTemplate::new(view, keys, accounts)?;
    let archives = names.iter().map(|name| template.archive(name)).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = archives.iter().map(Vec::len).sum();
    println!("{} archives, {bytes} bytes, {:?}", archives.len(), started.elapsed());
    for (name, archive) in names.iter().zip(&archives) {
        fs::write(directory.join(format!("{name}.tar")), archive)?;
    }
    Ok(())
}
