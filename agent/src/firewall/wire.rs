//! Messages of nf_tables as bytes (linux/netfilter/nf_tables.h and nfnetlink.h): the few that one table needs.
//!
//! Attributes of nf_tables are numbers in network byte order and texts that end with NUL. Headers, alignment and answers are
//! those of every netlink family, and come from `netlink-packet-core`.

use netlink_packet_core::{
    DefaultNla, Emitable, NLA_F_NESTED, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST,
    NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, NlasIterator,
};

use super::rules::{Chain, Expression, Field, Set, Table, Verdict};

/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// `NFPROTO_IPV4`: tunnel packets of ours are IPv4.
const IPV4: u8 = 2;
/// `NFT_REG32_00`: what is loaded or compared is here; the second part of a concatenation follows.
const REGISTER: u32 = 8;
/// Most keys of one message: an attribute holds 64 KiB.
pub(super) const KEYS: usize = 2000;

/// What the kernel is told or asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Begins a batch, which holds for the ruleset of this generation only.
    Begin(u32),
    /// Ends a batch: it is carried out.
    End,
    AddTable(Table),
    DeleteTable(Table),
    AddChain(Table, Chain),
    /// Room for so many keys. All of them come in the batch that makes it.
    AddSet(Table, Set, u32),
    /// At most [`KEYS`].
    AddKeys(Table, Set, Vec<Vec<u8>>),
    AddRule(Table, Chain, Vec<Expression>),
    /// The number of the ruleset: every change of any table makes it another.
    GetGeneration,
    GetRules(Table),
    GetKeys(Table, Set),
}

impl Message {
    /// Flags of its header.
    pub(super) fn flags(&self) -> u16 {
        NLM_F_REQUEST
            | match self {
                Self::Begin(_) | Self::End | Self::GetGeneration => 0,
                Self::AddTable(_) | Self::AddChain(..) | Self::AddSet(..) | Self::AddKeys(..) => {
                    NLM_F_CREATE | NLM_F_ACK
                }
                Self::AddRule(..) => NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK,
                Self::DeleteTable(_) => NLM_F_ACK,
                Self::GetRules(_) | Self::GetKeys(..) => NLM_F_DUMP,
            }
    }

    /// `NFNL_MSG_BATCH_*` and `NFT_MSG_*`.
    fn kind(&self) -> u16 {
        let of_tables = |number: u16| NFTABLES << 8 | number;
        match self {
            Self::Begin(_) => 0x10,
            Self::End => 0x11,
            Self::AddTable(_) => of_tables(0),
            Self::DeleteTable(_) => of_tables(2),
            Self::AddChain(..) => of_tables(3),
            Self::AddRule(..) => of_tables(6),
            Self::GetRules(_) => of_tables(7),
            Self::AddSet(..) => of_tables(9),
            Self::AddKeys(..) => of_tables(12),
            Self::GetKeys(..) => of_tables(13),
            Self::GetGeneration => of_tables(16),
        }
    }

    /// `struct nfgenmsg`: family, version, and the subsystem that a batch is of.
    fn head(&self) -> [u8; 4] {
        match self {
            Self::Begin(_) | Self::End => {
                let [high, low] = NFTABLES.to_be_bytes();
                [0, 0, high, low]
            }
            Self::GetGeneration => [0; 4],
            Self::AddTable(_)
            | Self::DeleteTable(_)
            | Self::AddChain(..)
            | Self::AddSet(..)
            | Self::AddKeys(..)
            | Self::AddRule(..)
            | Self::GetRules(_)
            | Self::GetKeys(..) => [IPV4, 0, 0, 0],
        }
    }

    fn attributes(&self) -> Vec<DefaultNla> {
        match self {
            Self::End | Self::GetGeneration => vec![],
            // NFNL_BATCH_GENID
            Self::Begin(generation) => vec![number(1, *generation)],
            // NFTA_TABLE_NAME, NFTA_RULE_TABLE
            Self::AddTable(table) | Self::DeleteTable(table) | Self::GetRules(table) => {
                vec![text(1, table.as_str())]
            }
            Self::AddChain(table, chain) => {
                // NFTA_HOOK_HOOKNUM, _PRIORITY
                let hook = nested(4, &[number(1, chain.hook()), number(2, Chain::PRIORITY.cast_unsigned())]);
                // NFTA_CHAIN_TABLE, _NAME, _HOOK, _TYPE
                vec![text(1, table.as_str()), text(3, chain.as_str()), hook, text(7, "filter")]
            }
            // NFTA_SET_TABLE, _NAME, _FLAGS (NFT_SET_CONSTANT), _KEY_TYPE, _KEY_LEN, _DESC of NFTA_SET_DESC_SIZE, _ID
            Self::AddSet(table, set, keys) => vec![
                text(1, table.as_str()),
                text(2, set.as_str()),
                number(3, 2),
                number(4, set.key_type()),
                number(5, set.key_length()),
                nested(9, &[number(1, *keys)]),
                number(10, set.id()),
            ],
            Self::AddKeys(table, set, keys) => {
                // NFTA_LIST_ELEM of NFTA_SET_ELEM_KEY of NFTA_DATA_VALUE
                let element = |key: &Vec<u8>| nested(1, &[nested(1, &[bytes(1, key)])]);
                let elements: Vec<_> = keys.iter().map(element).collect();
                // NFTA_SET_ELEM_LIST_TABLE, _SET, _ELEMENTS
                vec![text(1, table.as_str()), text(2, set.as_str()), nested(3, &elements)]
            }
            Self::GetKeys(table, set) => vec![text(1, table.as_str()), text(2, set.as_str())],
            Self::AddRule(table, chain, expressions) => {
                let expressions: Vec<_> = expressions.iter().map(expression).collect();
                // NFTA_RULE_TABLE, _CHAIN, _EXPRESSIONS
                vec![text(1, table.as_str()), text(2, chain.as_str()), nested(4, &expressions)]
            }
        }
    }
}

/// `NFTA_LIST_ELEM` of `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
fn expression(expression: &Expression) -> DefaultNla {
    let (name, data) = match expression {
        Expression::Load(field) => load(*field, 0),
        Expression::LoadNext(field) => load(*field, 1),
        Expression::Is(value) => compare(0, value),
        Expression::IsNot(value) => compare(1, value),
        // NFTA_LOOKUP_SET, _SREG, _SET_ID
        Expression::In(set) => {
            ("lookup", vec![text(1, set.as_str()), number(2, REGISTER), number(4, set.id())])
        }
        Expression::End(verdict) => {
            // NF_DROP, NF_ACCEPT
            let code = match verdict {
                Verdict::Drop => 0,
                Verdict::Accept => 1,
            };
            // NFTA_IMMEDIATE_DREG (NFT_REG_VERDICT), _DATA of NFTA_DATA_VERDICT of NFTA_VERDICT_CODE
            ("immediate", vec![number(1, 0), nested(2, &[nested(2, &[number(1, code)])])])
        }
    };
    nested(1, &[text(1, name), nested(2, &data)])
}

fn load(field: Field, place: u32) -> (&'static str, Vec<DefaultNla>) {
    let register = number(1, REGISTER + place);
    // NFTA_META_DREG, _KEY
    let meta = |key| ("meta", vec![register.clone(), number(2, key)]);
    // NFTA_PAYLOAD_DREG, _BASE, _OFFSET, _LEN
    let payload = |base, offset, length| {
        ("payload", vec![register.clone(), number(2, base), number(3, offset), number(4, length)])
    };
    // NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER
    let (network, transport) = (1, 2);
    match field {
        // NFT_META_IIFNAME, _OIFNAME, _SKUID, _L4PROTO
        Field::InputName => meta(6),
        Field::OutputName => meta(7),
        Field::User => meta(10),
        Field::Protocol => meta(16),
        // RFC 791 section 3.1
        Field::Source => payload(network, 12, 4),
        // RFC 768
        Field::UdpPort => payload(transport, 2, 2),
        // Behind the UDP header, at 4 of the VXLAN header (RFC 7348 section 5).
        Field::Vni => payload(transport, 8 + 4, 3),
        Field::PaddedVni => payload(transport, 8 + 4, 4),
    }
}

/// `NFTA_CMP_SREG`, `_OP` and `_DATA` of `NFTA_DATA_VALUE`.
fn compare(operation: u32, value: &[u8]) -> (&'static str, Vec<DefaultNla>) {
    ("cmp", vec![number(1, REGISTER), number(2, operation), nested(3, &[bytes(1, value)])])
}

fn bytes(kind: u16, value: &[u8]) -> DefaultNla {
    DefaultNla::new(kind, value.to_vec())
}

fn number(kind: u16, value: u32) -> DefaultNla {
    bytes(kind, &value.to_be_bytes())
}

fn text(kind: u16, text: &str) -> DefaultNla {
    bytes(kind, &[text.as_bytes(), b"\0"].concat())
}

fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut value = vec![0; attributes.buffer_len()];
    attributes.emit(&mut value);
    DefaultNla::new(kind | NLA_F_NESTED, value)
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind()
    }

    fn buffer_len(&self) -> usize {
        self.head().len() + self.attributes().as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (head, rest) = buffer.split_at_mut(4);
        head.copy_from_slice(&self.head());
        self.attributes().as_slice().emit(rest);
    }
}

/// What the kernel tells: attributes, behind `struct nfgenmsg`, whose last two bytes are the generation's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told(pub(super) Vec<u8>);

impl NetlinkDeserializable for Told {
    type Error = std::convert::Infallible;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(payload.get(4..).unwrap_or_default().to_vec()))
    }
}

impl Told {
    /// `NFTA_GEN_ID`, the first attribute of an answer to [`Message::GetGeneration`].
    pub(super) fn generation(&self) -> Option<u32> {
        let value = self.0.get(4..8)?;
        Some(u32::from_be_bytes(value.try_into().ok()?))
    }

    /// `NFTA_SET_ELEM_LIST_ELEMENTS`, one by one, of an answer to [`Message::GetKeys`].
    pub(super) fn elements(&self) -> Vec<Vec<u8>> {
        let mut elements = Vec::new();
        for list in NlasIterator::new(self.0.as_slice()).flatten().filter(|list| list.kind() == 3) {
            elements
                .extend(NlasIterator::new(list.value()).flatten().map(|element| element.value().to_vec()));
        }
        elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(message: &Message) -> Vec<u8> {
        let mut buffer = vec![0; message.buffer_len()];
        message.serialize(&mut buffer);
        buffer
    }

    fn table() -> Table {
        Table::of(&shoal_types::InstallationId::new([0x3f, 0xa9, 0xc1]))
    }

    #[test]
    fn a_batch_is_of_one_generation_of_the_tables() {
        assert_eq!(encoded(&Message::Begin(0x0102_0304)), [0, 0, 0, 10, 8, 0, 1, 0, 1, 2, 3, 4]);
        assert_eq!(encoded(&Message::End), [0, 0, 0, 10]);
        assert_eq!((Message::Begin(1).message_type(), Message::End.message_type()), (0x10, 0x11));
        assert_eq!(Message::GetGeneration.message_type(), 0x0a10);
        let told = Told(vec![8, 0, 1, 0, 0, 0, 1, 2]);
        assert_eq!((told.generation(), Told(vec![8, 0, 1]).generation()), (Some(0x102), None));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn texts_end_with_nul_and_attributes_are_aligned() {
        let mut expected = vec![2, 0, 0, 0, 17, 0, 1, 0];
        expected.extend(b"shoal_3fa9c1\0\0\0\0");
        assert_eq!(encoded(&Message::AddTable(table())), expected);
        assert_eq!(encoded(&Message::DeleteTable(table())), expected);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_key_is_an_element_of_a_list_of_elements() {
        let keys = vec![vec![10, 77, 0, 2, 0, 0, 10, 0]];
        let encoded = encoded(&Message::AddKeys(table(), Set::Peers, keys));
        let expected = [
            [20, 0, 1, 0x80], // one element
            [16, 0, 1, 0x80], // its key
            [12, 0, 1, 0],    // as a value
            [10, 77, 0, 2],
            [0, 0, 10, 0],
        ];
        assert!(encoded.ends_with(expected.as_flattened()), "{encoded:?}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_rule_is_a_list_of_expressions() {
        let rule = vec![
            Expression::Load(Field::UdpPort),
            Expression::Is(4799_u16.to_be_bytes().to_vec()),
            Expression::End(Verdict::Drop),
        ];
        let encoded = encoded(&Message::AddRule(table(), Chain::Input, rule));
        let compare = [
            [44, 0, 1, 0x80], // an expression
            [8, 0, 1, 0],     // named
            *b"cmp\0",
            [32, 0, 2, 0x80], // with its data
            [8, 0, 1, 0],     // the register
            [0, 0, 0, 8],
            [8, 0, 2, 0], // equals
            [0, 0, 0, 0],
            [12, 0, 3, 0x80], // this
            [6, 0, 1, 0],     // value
            [0x12, 0xbf, 0, 0],
        ];
        assert!(encoded.windows(44).any(|part| part == compare.as_flattened()), "{encoded:?}");
        let verdict = [[8, 0, 1, 0], [0, 0, 0, 0], [16, 0, 2, 0x80], [12, 0, 2, 0x80], [8, 0, 1, 0], [0; 4]];
        assert!(encoded.ends_with(verdict.as_flattened()), "{encoded:?}");
    }
}
