//! Photographs of many sizes, as ImageNet has them.
//!
//! From a file to a network's input:
//! - `decode.rs` turns a file into pixels, `header.rs` reads what has to be known of a JPEG beforehand
//! - `views.rs` draws scale, crop, mirror image and colour of a training image, and lists the crops that are tested
//! - `resize.rs` applies such a decision to pixels, `colour.rs` has AlexNet's principal components
//! - `mean.rs` subtracts the mean image

mod colour;
mod decode;
mod header;
mod mean;
mod resize;
mod views;

pub use colour::Colour;
pub use decode::{MOST_PIXELS, Picture, Undecodable, decode, decode_into};
pub use mean::{MeanImage, PixelSums, inputs};
pub use resize::{Scratch, frame};
pub use views::{Draw, Framing, Views, draw};
