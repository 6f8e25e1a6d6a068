//! Certificates, made for each run: authorities, servers and clients, good and bad ones.

use rcgen::{CertificateParams, DnType, date_time_ymd};
use rustls::ServerConfig;

use crate::bed::Bed;

/// An authority and what it signed.
pub(crate) struct Authority(shoal_lab::Authority);

/// Whether a certificate is valid today.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// It is.
    Now,
    /// It was, until 2001.
    Past,
    /// It will be, from 2400.
    Future,
}

fn params(name: &str, when: When) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    match when {
        When::Now => {}
        When::Past => {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        When::Future => {
            params.not_before = date_time_ymd(2400, 1, 1);
            params.not_after = date_time_ymd(2401, 1, 1);
        }
    }
    params
}

impl Authority {
    pub(crate) fn new(name: &str, when: When) -> Self {
        Self(shoal_lab::Authority::new(params(name, when)).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name` and its key, as PEM.
    pub(crate) fn signed(&self, name: &str, when: When) -> (String, String) {
        self.0.signed(&params(name, when)).unwrap()
    }

    /// Writes `DIR/{ca,cert,key}.pem` for a client of this authority; the directory.
    pub(crate) fn client(&self, bed: &Bed, dir: &str) -> String {
        let (cert, key) = self.signed("client", When::Now);
        bed.file(&format!("{dir}/ca.pem"), self.pem());
        bed.file(&format!("{dir}/cert.pem"), cert);
        bed.file(&format!("{dir}/key.pem"), key);
        bed.path(dir)
    }

    /// A server with a certificate of this authority for `name`, which asks clients for one of it too.
    pub(crate) fn server(&self, name: &str, when: When) -> ServerConfig {
        self.0.server(&params(name, when)).unwrap()
    }
}
