//! A way between two hosts: which packets are sent on it, and what was learned of it. Pure.

/// A packet that every way carries.
pub(super) const SMALL: u32 = 200;
/// How many of each size.
const REPEAT: usize = 3;
/// MTUs that ways have, largest first: of tunnels, lines, VPNs and overlays in use.
const LADDER: [u32; 14] =
    [9000, 8950, 1500, 1492, 1480, 1472, 1450, 1430, 1420, 1400, 1370, 1350, 1320, 1280];
/// Most packets on one way: two tries and the ladder.
const PER_WAY: usize = 4 * REPEAT + LADDER.len();

/// The way from one end to another, and what was learned of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// Places of sender and receiver among the ends.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Size of the IP packets that carry a full frame of a node, in bytes.
    pub(super) full: u32,
    /// What was sent, in this order.
    pub(super) packets: Vec<Packet>,
    pub(super) trouble: Option<Trouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) size: u32,
    pub(super) came: bool,
}

/// Why there is nothing more to be learned of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The receiver does not tell what comes.
    Deaf(String),
    /// The sender does not say what it sent.
    Mute(String),
    /// The sender's kernel does not let a packet out.
    Unsent(String),
}

impl Way {
    pub(super) fn new(from: usize, to: usize, full: u32) -> Self {
        Self { from, to, full, packets: vec![], trouble: None }
    }

    /// The same way, where the ends it was numbered by are these places among others.
    pub(super) fn between(self, places: &[usize]) -> Self {
        Self { from: places[self.from], to: places[self.to], ..self }
    }

    /// All packets came.
    pub(crate) fn is_well(&self) -> bool {
        self.trouble.is_none() && self.packets.iter().all(|packet| packet.came)
    }

    /// The end that did not do its part: nothing is known of the way then.
    pub(crate) fn silent_end(&self) -> Option<usize> {
        match &self.trouble {
            Some(Trouble::Deaf(_)) => Some(self.to),
            Some(Trouble::Mute(_)) => Some(self.from),
            Some(Trouble::Unsent(_)) | None => None,
        }
    }

    /// Packets of this size that came, and that were sent.
    pub(super) fn tally(&self, size: u32) -> (usize, usize) {
        let of_size = || self.packets.iter().filter(|packet| packet.size == size);
        (of_size().filter(|packet| packet.came).count(), of_size().count())
    }

    /// The largest packet that came; 0: none did.
    pub(super) fn largest(&self) -> u32 {
        self.packets.iter().filter(|packet| packet.came).map(|packet| packet.size).max().unwrap_or(0)
    }

    /// Whether more may be heard of it.
    pub(super) fn lacks(&self) -> bool {
        self.trouble.is_none() && self.packets.iter().any(|packet| !packet.came)
    }

    /// What is sent at first.
    pub(super) fn first(&self) -> Vec<u32> {
        match self.trouble {
            None => [[SMALL; REPEAT], [self.full; REPEAT]].concat(),
            Some(_) => vec![],
        }
    }

    /// What is sent once more, where no packet of a size came: it may have been the moment, and it may be the size.
    pub(super) fn again(&self) -> Vec<u32> {
        let nothing = |size| self.tally(size).0 == 0;
        match self.trouble {
            None if nothing(SMALL) || nothing(self.full) => {
                let smaller = LADDER.into_iter().filter(|size| *size < self.full);
                self.first().into_iter().chain(smaller).collect()
            }
            None | Some(_) => vec![],
        }
    }
}

/// What tells a packet from every other of its check.
pub(super) fn mark(way: usize, packet: usize) -> u32 {
    u32::try_from(way * PER_WAY + packet).unwrap_or(u32::MAX)
}

/// The way of a packet, and its place on it.
pub(super) fn packet_of(mark: u32) -> (usize, usize) {
    let mark = usize::try_from(mark).unwrap_or(usize::MAX);
    (mark / PER_WAY, mark % PER_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_has_a_mark_of_its_own() {
        let ways = 32 * 31;
        let mut marks: Vec<_> =
            (0..ways).flat_map(|way| [0, PER_WAY - 1].map(|packet| mark(way, packet))).collect();
        assert_eq!(packet_of(mark(ways - 1, 7)), (ways - 1, 7));
        marks.dedup();
        assert_eq!(marks.len(), 2 * ways);
        let mut way = Way::new(0, 1, 9001);
        for sizes in [Way::first, Way::again] {
            let sizes = sizes(&way);
            way.packets.extend(sizes.into_iter().map(|size| Packet { size, came: false }));
        }
        assert_eq!(way.packets.len(), PER_WAY);
    }

    #[test]
    fn what_came_is_not_sent_again_and_what_cannot_be_is_not_tried() {
        let mut way = Way::new(0, 1, 1450);
        let first = way.first();
        assert_eq!(first, [200, 200, 200, 1450, 1450, 1450]);
        way.packets.extend(first.into_iter().map(|size| Packet { size, came: size == SMALL }));
        assert_eq!(way.again()[..6], way.first());
        assert_eq!(way.again()[6..], [1430, 1420, 1400, 1370, 1350, 1320, 1280]);
        way.packets[5].came = true;
        assert_eq!((way.again(), way.tally(1450), way.largest()), (vec![], (1, 3), 1450));
        let lost = |trouble| Way { trouble: Some(trouble), ..Way::new(0, 1, 1450) };
        let deaf = lost(Trouble::Deaf("no".into()));
        assert_eq!((deaf.first(), deaf.again(), deaf.silent_end()), (vec![], vec![], Some(1)));
        assert_eq!(lost(Trouble::Mute("no".into())).silent_end(), Some(0));
        assert_eq!(lost(Trouble::Unsent("no".into())).silent_end(), None);
    }
}
