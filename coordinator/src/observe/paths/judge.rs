//! What was learned of a way, and what to do about it. Pure.

use std::net::Ipv4Addr;

use shoal_api::{Pair, Verdict};
use shoal_types::{HostMtu, HostName};

use super::{
    End,
    way::{SMALL, Trouble, Way},
};

/// What a way between these ends is worth.
pub(crate) fn verdict(ends: &[End], udp_port: u16, way: &Way) -> Pair {
    let (from, to) = (&ends[way.from], &ends[way.to]);
    judge(way, (&from.name, &to.name), (to.address, udp_port))
}

fn judge(way: &Way, (from, to): (&HostName, &HostName), (address, port): (Ipv4Addr, u16)) -> Pair {
    let told = |verdict, message: String, fix: Option<String>, largest_bytes| Pair {
        from: from.to_string(),
        to: to.to_string(),
        verdict,
        message,
        fix,
        largest_bytes,
    };
    let fail = |message, fix, largest| told(Verdict::Fail, message, Some(fix), largest);
    let (full, (small, smalls), (large, larges)) = (way.full, way.tally(SMALL), way.tally(way.full));
    match &way.trouble {
        Some(Trouble::Deaf(why)) => {
            return fail(format!("{to} cannot receive: {why}"), format!("see the finding `udp` of {to}"), 0);
        }
        Some(Trouble::Mute(why) | Trouble::Unsent(why)) => {
            let fix = format!(
                "see that the firewall of {from} lets UDP to port {port} out, and its interface's MTU"
            );
            return fail(format!("{from} cannot send: {why}"), fix, way.largest());
        }
        None => {}
    }
    match (small, large) {
        (0, _) => {
            let fix =
                format!("let UDP port {port} from {from} to {address} through every firewall on the way");
            fail(format!("no packet to UDP port {port} arrives"), fix, 0)
        }
        (_, 0) => {
            let largest = way.largest();
            let raise = format!("raise the MTU on the way to {full}");
            let fix = match HostMtu::try_from(u64::from(largest)) {
                Ok(mtu) => format!(
                    "{raise}; or `shoal set host {from} --mtu {mtu}`, `shoal set host {to} --mtu {mtu}`, and create clusters anew"
                ),
                Err(_) => raise,
            };
            fail(format!("packets of {full} bytes do not arrive, those of {largest} do"), fix, largest)
        }
        (small, large) if small < smalls || large < larges => {
            let (sent, came) = (smalls + larges, small + large);
            let fix = "see what else loads the way; Slurm and MPI suffer from loss".to_owned();
            told(Verdict::Warn, format!("{} of {sent} packets were lost", sent - came), Some(fix), full)
        }
        _ => told(Verdict::Pass, format!("packets of {full} bytes arrive"), None, full),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::way::Packet, *};

    /// A way on which so many of three small, of three full and of one of 1400 bytes came.
    fn way(small: usize, full: usize, lesser: bool) -> Way {
        let some = |size, came| (0..3).map(move |at| Packet { size, came: at < came });
        let lesser = lesser.then_some(Packet { size: 1400, came: true });
        let packets = some(SMALL, small).chain(some(1500, full)).chain(lesser).collect();
        Way { packets, ..Way::new(0, 1, 1500) }
    }

    #[test]
    fn what_was_measured_means() {
        let (a, b): (HostName, HostName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let with = |trouble, way| Way { trouble: Some(trouble), ..way };
        for (way, verdict, says, largest) in [
            (way(3, 3, false), Verdict::Pass, "1500 bytes arrive", 1500),
            (way(2, 3, false), Verdict::Warn, "1 of 6", 1500),
            (way(3, 1, false), Verdict::Warn, "2 of 6", 1500),
            (way(3, 0, true), Verdict::Fail, "those of 1400 do", 1400),
            (way(3, 0, false), Verdict::Fail, "those of 200 do", 200),
            (way(0, 0, false), Verdict::Fail, "UDP port 4799", 0),
            (
                with(Trouble::Deaf("in use".into()), way(0, 0, false)),
                Verdict::Fail,
                "b cannot receive: in use",
                0,
            ),
            (
                with(Trouble::Unsent("too long".into()), way(3, 0, false)),
                Verdict::Fail,
                "a cannot send: too long",
                200,
            ),
            (
                with(Trouble::Mute("no answer".into()), way(0, 0, false)),
                Verdict::Fail,
                "a cannot send: no answer",
                0,
            ),
        ] {
            let pair = judge(&way, (&a, &b), ([10, 77, 0, 2].into(), 4799));
            assert_eq!((pair.verdict, pair.largest_bytes), (verdict, largest), "{says}: {pair:?}");
            assert!(pair.message.contains(says), "{says}: {pair:?}");
            assert_eq!(pair.fix.is_none(), verdict == Verdict::Pass, "{pair:?}");
        }
    }

    #[test]
    fn the_way_out_names_both_hosts_and_what_to_set() {
        let (a, b): (HostName, HostName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let fix = |way| judge(&way, (&a, &b), ([10, 77, 0, 2].into(), 4799)).fix.unwrap();
        let closed = fix(way(0, 0, false));
        assert_eq!(closed, "let UDP port 4799 from a to 10.77.0.2 through every firewall on the way");
        let narrow = fix(way(3, 0, true));
        assert_eq!(
            narrow,
            "raise the MTU on the way to 1500; or `shoal set host a --mtu 1400`, `shoal set host b --mtu 1400`, and create clusters anew"
        );
        assert_eq!(fix(way(3, 0, false)), "raise the MTU on the way to 1500");
    }
}
