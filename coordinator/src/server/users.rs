//! The service for users of servers.

use std::sync::Arc;

use shoal_api::{Certificate, MadeUser, Time, User};
use shoal_proto::{Word, v1};
use shoal_storage::User as Row;
use shoal_types::{RealmName, UserRole};
use tonic::{Request, Response, Status};

use crate::{
    drive::users::{self, Wish},
    fleet::coordinator::Coordinator,
    server::{
        field,
        who::{From as Origin, Who},
    },
    words::fault::{Fault, UserFault},
};

/// Users.
#[derive(Debug)]
pub(crate) struct UsersService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::users_server::Users for UsersService {
    async fn create_user(
        &self,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::CreateUserResponse>, Status> {
        let r = request.into_inner();
        let realms: Result<Vec<RealmName>, _> = r.realms.iter().map(|name| field("realms", name)).collect();
        let wish = Wish {
            name: field("name", &r.name).map_err(Fault::from)?,
            role: UserRole::read("role", r.role).map_err(Fault::from)?,
            realms: realms.map_err(Fault::from)?.into_iter().collect(),
            days: r.days,
        };
        let (user, made, authority) = users::create(&self.0, wish, &r.point).await?;
        let not_after_ms = made.not_after.0;
        let told = MadeUser {
            user: told(user),
            certificate: Certificate { certificate: made.certificate, authority, not_after_ms },
            addresses: self.0.serves.addresses.clone(),
        };
        Ok(Response::new(told.into()))
    }

    async fn list_users(
        &self,
        _: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let users = async { self.0.store.read().await?.users().list().await };
        let users = users.await.map_err(Fault::from)?.into_iter().map(|user| told(user).into());
        Ok(Response::new(v1::ListUsersResponse { users: users.collect() }))
    }

    async fn revoke_user(
        &self,
        request: Request<v1::RevokeUserRequest>,
    ) -> Result<Response<v1::RevokeUserResponse>, Status> {
        let name = field("name", &request.into_inner().name).map_err(Fault::from)?;
        let user = users::revoke(&self.0, name).await?;
        Ok(Response::new(v1::RevokeUserResponse { user: Some(told(user).into()) }))
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let Origin::Elsewhere(user) = Who::of(&request).from else {
            return Err(Fault::from(UserFault::NoCertificate).into());
        };
        let (made, authority) = users::renew(&self.0, user, &request.into_inner().point).await?;
        let (certificate, not_after_ms) = (made.certificate, made.not_after.0);
        let certificate = Certificate { certificate, authority, not_after_ms };
        Ok(Response::new(v1::RenewCertificateResponse { certificate: Some(certificate.into()) }))
    }
}

fn told(row: Row) -> User {
    User {
        name: row.name.to_string(),
        role: row.role,
        realms: row.realms.names(),
        created: Time::known(row.created),
        expires: Time::known(row.not_after),
        revoked: row.revoked.and_then(Time::known),
    }
}
