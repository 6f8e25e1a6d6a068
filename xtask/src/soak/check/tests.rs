//! What is told of each thing that does not hold.
