//! CIFAR-10's files: the same data in any order, and every fault told by its name.

mod black;
mod fetched;
mod read;
