//! Builds the node image without anything else of Shoal.
//!
//! ```text
//! cargo run -p shoal-images --example build -- OUTPUT [SUITE]
//! ```

use std::{env, error::Error};

use shoal_images::{BuildRequest, Stop, Suite, build};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let output = arguments.next().ok_or("usage: build OUTPUT [SUITE]")?.into();
    let suite: Suite = arguments.next().map(|suite| suite.parse()).transpose()?.unwrap_or_default();
    let request = BuildRequest { tag: suite.default_tag(), suite, with: Vec::new(), stale: false, output };
    println!("{:?}", build(&request, &Stop::default(), &mut |line| eprintln!("{line}"))?);
    Ok(())
}
