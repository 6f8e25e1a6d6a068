//! The same image as a Dockerfile with its context, for people who build with Docker and keep images in a registry.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::{LABEL_SUITE, Package, Suite, overlay, recipe};

/// Name of the overlay in the context; `ADD` unpacks it.
const OVERLAY: &str = "overlay.tar";

/// Writes `Dockerfile` and what it needs into a directory, which is made if it is not there; files of these names are
/// replaced.
///
/// # Errors
/// The directory or a file in it cannot be written.
pub fn write_dockerfile(suite: Suite, with: &[Package], directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    overlay::write(File::create(directory.join(OVERLAY))?)?;
    fs::write(directory.join("Dockerfile"), text(suite, with))
}

fn text(suite: Suite, with: &[Package]) -> String {
    let packages = recipe::packages_with(with).join(" \\\n      ");
    let clean = recipe::CLEANED.join(" ");
    format!(
        "\
# The image of Shoal nodes from Debian {suite}: build it where this file lies with `docker build -t NAME:TAG .`
FROM debian:{suite}-slim
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \\
      {packages} \\
 && rm -rf {clean} /var/lib/apt/lists/* \\
 && slurmctld -V
# Our files, the units that never run, and the target nodes boot to.
ADD {OVERLAY} /
# By this systemd knows where it is.
ENV container=docker
LABEL {LABEL_SUITE}={suite}
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT []
CMD [\"/sbin/init\"]
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_its_context() {
        let directory = tempfile::tempdir().unwrap();
        let with = ["openmpi-bin".parse().unwrap()];
        write_dockerfile(Suite::Trixie, &with, &directory.path().join("new")).unwrap();
        let written = fs::read_to_string(directory.path().join("new/Dockerfile")).unwrap();
        insta::assert_snapshot!(written);
        let overlay = File::open(directory.path().join("new").join(OVERLAY)).unwrap();
        assert!(tar::Archive::new(overlay).entries().unwrap().count() > 10);
    }
}
