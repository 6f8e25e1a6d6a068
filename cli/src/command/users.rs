//! `shoal create user`, `get users` and `revoke user`: who may use a server besides the user who runs it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use shoal_api::{Client, NewUser, User};
use shoal_coordinator::{UserKey, is_address};
use shoal_types::{Clock, RealmName, SystemClock, UserName, UserRole};

use crate::{
    args::Global,
    connect::Session,
    error::CliError,
    escape,
    exit::Exit,
    interrupt::Interrupt,
    output::{Width, table},
    parse::word,
    server_context::ContextFile,
};

/// How long a certificate holds that nobody says otherwise of: it is renewed by itself while it is used.
const DAYS: u32 = 90;

/// Arguments of `create user`.
#[derive(Debug, Args)]
pub(crate) struct CreateUser {
    /// Name of the user
    #[arg(value_parser = word::<UserName>)]
    name: UserName,
    /// What the user may do: viewer (look), operator (clusters and their nodes), admin (hosts, images and users, too)
    #[arg(long, value_name = "ROLE", value_parser = word::<UserRole>)]
    role: UserRole,
    /// Realm that the user may name; repeatable [default: every realm]
    #[arg(long = "realm", id = "realm", value_name = "NAME", value_parser = word::<RealmName>)]
    realms: Vec<RealmName>,
    /// How long the certificate holds, in days; it is renewed by itself while it is used
    #[arg(long, value_name = "N", default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Where the user reaches the server; repeatable [default: where the running server listens]
    #[arg(long = "server", value_name = "HOST:PORT", value_parser = address)]
    servers: Vec<String>,
    /// Write the context to this file [default: NAME.context.json]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
}

fn address(text: &str) -> Result<String, String> {
    match is_address(text) {
        true => Ok(text.to_owned()),
        false => Err("not HOST:PORT, such as shoal.example:7443".into()),
    }
}

impl CreateUser {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let Self { name, role, realms, days, servers, out } = self;
        let out = out.unwrap_or_else(|| format!("{name}.context.json").into());
        if out.exists() {
            let text = format!("{} is there already", out.display());
            return Err(CliError::usage(text, "name another file with --out".to_owned()));
        }
        let key = UserKey::generate().map_err(CliError::Remote)?;
        let new = NewUser { name: name.clone(), role, realms, days, point: key.point.clone() };
        let made = Session::within(global, interrupt, async |client| {
            // Before anything is made: a context without a server is of no use.
            if servers.is_empty() && client.server().await?.addresses.is_empty() {
                let hint =
                    "start it with `shoal serve --listen ADDRESS:PORT`, or name one with --server HOST:PORT";
                return Err(CliError::usage("no server listens for users elsewhere", hint.to_owned()));
            }
            let made = client.create_user(new).await?;
            let servers = if servers.is_empty() { made.addresses.clone() } else { servers };
            let context =
                ContextFile::new(name.to_string(), servers, made.certificate, &key, SystemClock.now());
            if let Err(error) = context.write(&out) {
                // Nobody has its key.
                client.revoke_user(&name).await?;
                return Err(CliError::Shelf(error.into()));
            }
            Ok(made.user)
        })
        .await?;
        let path = escape::line(&out.display().to_string());
        let line = format!(
            "{} is {}{}; the context is in {path}: hand it over in a safe way\nthere: shoal context add {path}",
            escape::line(&made.name),
            made.role,
            of(&made.realms)
        );
        global.screen().result(&made, |_| line)?;
        Ok(Exit::Ok)
    }
}

fn of(realms: &[String]) -> String {
    match realms {
        [] => String::new(),
        [one] => format!(" of realm {one}"),
        several => format!(" of realms {}", several.join(", ")),
    }
}

/// Arguments of `revoke`.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(subcommand)]
    what: Revoked,
}

#[derive(Debug, Subcommand)]
enum Revoked {
    /// Revoke a user: no server takes the certificate any more, and connections end
    User {
        /// The user
        #[arg(value_parser = word::<UserName>)]
        name: UserName,
    },
}

impl Revoke {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let Revoked::User { name } = self.what;
        let user =
            Session::within(global, interrupt, async |client| Ok(client.revoke_user(&name).await?)).await?;
        global.screen().result(&user, |_| format!("revoked {}", escape::line(&user.name)))?;
        Ok(Exit::Ok)
    }
}

/// Shows users.
pub(super) async fn show(client: &Client, global: &Global) -> Result<(), CliError> {
    let users = client.list_users().await?;
    let names = users.iter().filter(|user| user.revoked.is_none()).map(|user| user.name.clone());
    global.screen().named(&users, names, |width, _| text(width, &users))
}

fn text(width: Width, users: &[User]) -> String {
    let rows = users.iter().map(|user| {
        let state = match (user.revoked, user.expires) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) => format!("until {at}"),
            (None, None) => String::new(),
        };
        let realms = if user.realms.is_empty() { "all".into() } else { user.realms.join(" ") };
        [user.name.clone(), user.role.to_string(), realms, state]
    });
    let none = "no users; make one: shoal create user NAME --role ROLE";
    table(width, ["NAME", "ROLE", "REALMS", "CERTIFICATE"], 4, rows, none)
}

#[cfg(test)]
mod tests {
    use shoal_api::Time;
    use shoal_types::Timestamp;

    use super::*;

    #[test]
    fn who_may_what_and_until_when() {
        let user = |name: &str, realms: &[&str], revoked| User {
            name: name.into(),
            role: UserRole::Operator,
            realms: realms.iter().map(ToString::to_string).collect(),
            created: None,
            expires: Time::known(Timestamp(1_800_000_000_000)),
            revoked,
        };
        let users =
            [user("ann", &["a", "b"], None), user("bob", &[], Time::known(Timestamp(1_700_000_000_000)))];
        insta::assert_snapshot!(text(Width(None), &users), @r"
        NAME  ROLE      REALMS  CERTIFICATE
        ann   operator  a b     until 2027-01-15T08:00:00Z
        bob   operator  all     revoked 2023-11-14T22:13:20Z
        ");
        assert!(text(Width(None), &[]).contains("shoal create user"));
    }
}
