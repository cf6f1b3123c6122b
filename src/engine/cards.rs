//! Lists the GPUs and checks that one computes correctly.

use super::device::Card;

/// The GPUs that the driver lists.
///
/// # Errors
/// The driver's message, or that this build lacks CUDA support.
pub fn cards() -> Result<Vec<Card>, String> {
    #[cfg(feature = "cuda")]
    return super::cuda::cards();
    #[cfg(not(feature = "cuda"))]
    Err(super::device::no_cuda())
}

/// Opens a GPU, loads the kernels and checks every operator against the CPU's on small shapes.
///
/// # Errors
/// What is wrong, in one line.
pub fn usable(number: usize) -> Result<Card, String> {
    let cards = cards()?;
    let Some(card) = cards.iter().find(|card| card.number == number) else {
        return Err(format!(
            "there is no GPU {number}; the driver lists {}",
            match cards.len() {
                0 => "none".to_string(),
                1 => "one, number 0".to_string(),
                count => format!("{count}, starting at number 0"),
            }
        ));
    };
    #[cfg(feature = "cuda")]
    super::cuda::open(number, crate::recipe::Precision::Fp32)?;
    Ok(card.clone())
}
