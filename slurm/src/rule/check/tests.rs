//! What is refused, row by row of the table.

use shoal_types::{
    ClusterName, NodeGroup, Placing, Profile, RealmName, Role, SlurmSpec, Strategy, TextPlace,
};

use super::*;
use crate::rule::table::TABLE;

fn spec(main: &str, files: &[(&str, &str)]) -> ClusterSpec {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    ClusterSpec {
        realm: RealmName::default(),
        name: ClusterName::default(),
        image: "shoal-node:bookworm".into(),
        profile: Profile::System,
        scheduler: Strategy::Spread.into(),
        placing: Placing::default(),
        constraints: vec![],
        groups: vec![
            NodeGroup::new(Role::Controller, 1, None, None),
            NodeGroup::new(Role::Worker, 1, None, None),
        ],
        slurm: SlurmSpec {
            main: [("main".to_owned(), main.to_owned())].into(),
            files,
            ..SlurmSpec::default()
        },
        ssh_keys: vec![],
        mtu: None,
        healing: shoal_types::Healing::default(),
        ttl: None,
    }
}

fn refused(main: &str, files: &[(&str, &str)]) -> Vec<String> {
    match check(&spec(main, files)) {
        Ok(()) => vec![],
        Err(Refusals(all)) => all.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_is_shoals_is_refused_with_its_reason_and_the_way_to_say_it() {
    for (main, words) in [
        ("SlurmctldHost=other", &["slurm.main, line 1", "`SlurmctldHost` is Shoal's", "remove the line"][..]),
        ("\n slurmuser = me # x", &["line 2", "`slurmuser` is Shoal's", "`SlurmUser=slurm`"]),
        ("ClusterName=x", &["write `name` in the configuration"]),
        ("AuthType=auth/slurm", &["munge key"]),
        (
            "AccountingStorageType=accounting_storage/slurmdbd",
            &["no role keeps Slurm's accounts", "accounting_storage/none"],
        ),
        ("AccountingStorageEnforce=limits", &["no database"]),
        ("AuthAltTypes=auth/jwt", &["`api` among `nodes`"]),
        ("BackupController=b", &["one controller"]),
    ] {
        let refused = refused(main, &[]);
        assert_eq!(refused.len(), 1, "{main}: {refused:?}");
        words.iter().for_each(|word| assert!(refused[0].contains(word), "no `{word}` in {}", refused[0]));
    }
    for main in ["SlurmUser=slurm", "AuthType=auth/munge", "AccountingStorageType=accounting_storage/none"] {
        assert_eq!(refused(main, &[]), Vec::<String>::new(), "{main}: it is what Shoal would write");
    }
}

/// Every key of the table is what its row says, whatever the case it is written in.
#[test]
fn every_row_of_the_table_holds() {
    for row in TABLE {
        for key in row.keys {
            let of = |value: &str| refused(&format!("{}={value}", key.to_lowercase()), &[]);
            match &row.rule {
                Rule::Ours { same, because, .. } => {
                    let said = of("something/else");
                    assert!(said.len() == 1 && said[0].contains(because), "{key}: {said:?}");
                    same.iter().for_each(|same| assert!(of(same).is_empty(), "{key}={same}"));
                }
                Rule::Honoured { value, .. } => {
                    let (good, bad) = match value {
                        Value::Port => ("7000", "22"),
                        Value::Directory => ("/var/spool/own", "/var/lib"),
                        Value::File => ("/var/log/own/x.log", "/tmp/x.log"),
                        // Shown below: it is another key's.
                        Value::JobCompletions => continue,
                    };
                    assert!(of(good).is_empty(), "{key}={good}: {:?}", of(good));
                    assert_eq!(of(bad).len(), 1, "{key}={bad}");
                }
                Rule::Files(Named::Path) => {
                    assert!(of("/usr/bin/true").is_empty(), "{key}: a file of the image");
                    assert_eq!(of("/etc/slurm/x").len(), 1, "{key}");
                }
                Rule::Files(Named::Beside(files)) => {
                    for (word, names) in *files {
                        assert_eq!(of(word).len(), 1, "{key}={word}");
                        let with = refused(&format!("{key}={word}"), &[(names[0], "text")]);
                        assert_eq!(with, Vec::<String>::new(), "{key}={word}");
                    }
                }
                Rule::Default { .. } | Rule::List { .. } => assert!(of("x").is_empty(), "{key}"),
                Rule::Hosts { .. } | Rule::Nodes => {}
            }
        }
    }
}

#[test]
fn ports_and_paths_that_nothing_can_follow_are_refused() {
    for (main, word) in [
        ("SlurmctldPort=6817-6819", "one port"),
        ("SlurmdPort=0", "one port"),
        ("SlurmctldPort=7000\nSlurmdPort=7000", "both 7000"),
        ("SlurmdPort=6817", "both 6817"),
        ("StateSaveLocation=/tmp/state", "in memory"),
        ("StateSaveLocation=state", "no path"),
        ("StateSaveLocation=/var/lib", "of its own"),
        ("SlurmdSpoolDir=/run/slurmd", "in memory"),
        ("SlurmctldLogFile=/var/log/../x", "no path"),
        ("SlurmctldLogFile=/etc/slurm/log/x.log", "read by root"),
        ("StateSaveLocation=/usr/local/state", "read by root"),
        ("JobCompType=jobcomp/filetxt\nJobCompLoc=/tmp/x", "in memory"),
    ] {
        let refused = refused(main, &[]);
        assert!(refused.len() == 1 && refused[0].contains(word), "{main}: {refused:?}");
    }
    assert!(refused("SlurmdSpoolDir=/var/spool/slurmd.%n", &[]).is_empty());
}

#[test]
fn a_file_that_is_named_is_given() {
    for (main, files, word) in [
        ("JobSubmitPlugins=lua", &[][..], "`job_submit.lua: ./job_submit.lua`"),
        ("Prolog=/etc/slurm/x", &[], "`x: ./x`"),
        ("Prolog=/etc/slurm/prolog.d/*", &[("other", "")], "`prolog.d/*"),
        ("Prolog=x", &[("x", "#!/bin/sh\n")], "`Prolog=/etc/slurm/x`"),
        ("Epilog=/etc/slurm/x", &[("x", "true\n")], "`#!/bin/sh`"),
        ("Include site.conf", &[], "`site.conf: ./site.conf`"),
        ("Include /opt/site.conf", &[], "`site.conf: ./site.conf`, and `Include site.conf`"),
        ("JobSubmitPlugins=job_submit/lua", &[], "job_submit.lua"),
        ("CliFilterPlugins=cli_filter/lua", &[], "cli_filter.lua"),
        ("JobContainerType=tmpfs", &[], "job_container.conf"),
        ("JobCompType=jobcomp/script\nJobCompLoc=/etc/slurm/done", &[], "`done: ./done`"),
        ("JobCompType=script\nJobCompLoc=/etc/slurm/done", &[("done", "x\n")], "`#!/bin/sh`"),
        ("", &[("plugstack.conf", "include /etc/slurm/plug.d/*")], "not given"),
        ("", &[("gres.conf", "Name=gpu File=/opt/gpu[0-0]")], "`/opt/gpu0` is no device"),
        ("", &[("slurm.conf", "A=1")], "is Shoal's"),
        ("", &[("a", "1"), ("a/b", "2")], "a file and a directory"),
        ("PrologFlags=X11\nProctrackType=proctrack/linuxproc", &[], "proctrack/pgid"),
    ] {
        let refused = refused(main, files);
        assert!(refused.len() == 1 && refused[0].contains(word), "{main}: {refused:?}");
    }
    for (main, files) in [
        ("JobSubmitPlugins=lua", &[("job_submit.lua", "return 0")][..]),
        ("Prolog=/etc/slurm/prolog.d/*", &[("prolog.d/a", "#!/bin/sh\n")]),
        (
            "Include site.conf\nInclude /etc/slurm/more.conf",
            &[("site.conf", "MaxJobCount=1"), ("more.conf", "")],
        ),
        ("PrologFlags=Alloc,X11", &[]),
        ("JobCompType=jobcomp/elasticsearch\nJobCompLoc=http://search:9200/slurm", &[]),
        ("JobCompType=jobcomp/mysql\nJobCompLoc=jobs", &[]),
        ("JobCompType=jobcomp/script\nJobCompLoc=/usr/bin/true", &[]),
        (
            "GresTypes=gpu",
            &[("gres.conf", "Name=gpu File=/dev/nvidia[0-1]\nName=x File=/etc/slurm/x"), ("x", "")],
        ),
    ] {
        assert_eq!(refused(main, files), Vec::<String>::new(), "{main}");
    }
}

#[test]
fn what_is_included_is_checked_where_it_stands() {
    let files = [("site.conf", "# ours\nSlurmctldHost=x\nInclude site.conf\n")];
    let refused = refused("Include site.conf", &files);
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("slurm.files.site.conf, line 2: `SlurmctldHost`"), "{refused:?}");
    assert!(
        refused[1].contains("line 3: `Include site.conf` includes a file that it is itself in"),
        "{refused:?}"
    );
}

#[test]
fn files_that_include_files_have_an_end() {
    let names: Vec<String> = (0..10).map(|n| format!("{n}.conf")).collect();
    let chain: Vec<String> = (1..=10).map(|n| format!("Include {n}.conf\n")).collect();
    let mut files: Vec<(&str, &str)> =
        names.iter().zip(&chain).map(|(n, t)| (n.as_str(), t.as_str())).collect();
    files[9].1 = "A=1";
    let told = refused("Include 0.conf", &files);
    assert!(told.len() == 1 && told[0].contains("more than 8 files"), "{told:?}");
    // 100 lines each, 100^4 of them in all.
    let many: Vec<String> = (1..=4).map(|n| format!("Include {n}.conf\n").repeat(100)).collect();
    let mut files: Vec<(&str, &str)> =
        names.iter().zip(&many).map(|(n, t)| (n.as_str(), t.as_str())).collect();
    files.push(("4.conf", "A=1"));
    let told = refused("Include 0.conf", &files);
    assert!(told.len() == 1 && told[0].contains("more than 256 KiB"), "{told:?}");
}

#[test]
fn nodes_are_described_by_their_group() {
    for (main, instead) in [
        (
            "NodeName=worker-0 Feature=big,fast Weight=10",
            "`- {role: worker, slurm: {features: [big,fast], weight: 10}}`",
        ),
        ("NodeName=DEFAULT CPUs=16 Sockets=2", "`- {role: worker, slurm: {cpus: 16}}`"),
        ("NodeName=DEFAULT Gres=gpu:a100:2,fpga:1", "slurm: {gres: ['gpu:a100:2', 'fpga:1']}"),
        ("NodeName=a RealMemory=1000", "slurm: {memory: 1000m}"),
    ] {
        let refused = refused(main, &[]);
        assert!(refused.len() == 1 && refused[0].contains(instead), "{main}: {refused:?}");
    }
    assert!(refused("NodeName=DEFAULT TmpDisk=100", &[]).is_empty());
    assert!(refused("PartitionName=gpu Nodes=worker-0\nNodeSet=x Feature=y", &[]).is_empty());
}

#[test]
fn a_place_is_that_in_the_users_file_and_all_is_told_at_once() {
    let mut spec = spec("A=1\nSlurmUser=me\nSlurmctldHost=x\n", &[]);
    let place = TextPlace { file: "dev.yaml".into(), line: 5, by_line: true };
    spec.slurm.places.insert("slurm.main".into(), place);
    let Refusals(all) = check(&spec).unwrap_err();
    assert_eq!(all.iter().map(|r| r.at.as_str()).collect::<Vec<_>>(), ["dev.yaml:6", "dev.yaml:7"]);
}

#[test]
fn the_words_that_lists_must_hold_are_those_of_the_table() {
    let told = TABLE.iter().filter_map(|row| match row.rule {
        Rule::List { word, .. } => Some((row.keys[0], word)),
        Rule::Honoured { .. }
        | Rule::Default { .. }
        | Rule::Files(_)
        | Rule::Hosts { .. }
        | Rule::Ours { .. }
        | Rule::Nodes => None,
    });
    assert!(told.eq(crate::conf::REQUIRED));
}
