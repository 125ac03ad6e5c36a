//! 1,797 images of handwritten digits, and the random numbers that shuffle them.

/// Pixels of an image, 8 lines of 8.
pub(crate) const PIXELS: usize = 64;

/// An image and what it shows.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Ink from 0 to 16, line by line.
    pub(crate) pixels: [u8; PIXELS],
    /// 0 to 9.
    pub(crate) digit: u8,
}

/// `count` samples to train on, and the others to test.
pub(crate) fn split(count: usize, random: &mut Random) -> (Vec<Sample>, Vec<Sample>) {
    let (records, _) = include_bytes!("digits.bin").as_chunks::<{ PIXELS + 1 }>();
    let mut samples: Vec<Sample> =
        records.iter().map(|&[ref pixels @ .., digit]| Sample { pixels: *pixels, digit }).collect();
    random.shuffle(&mut samples);
    let test = samples.split_off(count);
    (samples, test)
}

/// The samples as the network takes them, one behind the other: pixels from -1 (paper) to 1 (ink), and digits.
pub(crate) fn batch(samples: &[Sample]) -> (Vec<f32>, Vec<u8>) {
    let pixels = samples.iter().flat_map(|sample| sample.pixels).map(|ink| f32::from(ink) / 8.0 - 1.0);
    (pixels.collect(), samples.iter().map(|sample| sample.digit).collect())
}

/// SplitMix64: the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From -1 to 1.
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Any order is as likely as any other.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let any = self.bits() % (last as u64 + 1);
            items.swap(last, any as usize);
        }
    }
}
