//! Choosing a backend: by configuration, for the program, at build time. One test, since the choice is the program's.
#![allow(clippy::unwrap_used, reason = "tests")]

use xent::{Backend, Error, Sigmoid, Softmax};

#[test]
fn backends_are_listed_named_and_forced() {
    let available: Vec<Backend> = Backend::available().collect();
    assert!(available.contains(&Backend::SCALAR));
    assert!(available.iter().all(|backend| Backend::NAMES.contains(&backend.name())));
    let missing: Vec<_> = Backend::NAMES.iter().filter(|name| Backend::named(name).is_err()).collect();
    println!("available: {available:?}, not on this machine: {missing:?}");
    assert_eq!(available.len() + missing.len(), Backend::NAMES.len());
    assert_eq!(Backend::named("abacus"), Err(Error::BackendUnavailable));

    // Every x86-64 has SSE2, every AArch64 has NEON: there the vectors must be found.
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        assert!(Backend::named("wide").is_ok());
    }
    // What the crate asks the CPU without std is what std finds.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        use std::is_x86_feature_detected as has;
        let parts = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        assert_eq!(Backend::named("avx2").is_ok(), has!("avx2") && has!("fma"));
        assert_eq!(Backend::named("avx512").is_ok(), has!("avx2") && has!("fma") && has!("f16c") && parts);
    }
    let built_scalar = cfg!(xent_backend = "scalar");
    let fastest = if built_scalar { Backend::SCALAR } else { *available.last().unwrap() };
    assert_eq!(Backend::active(), fastest);

    for backend in available {
        assert_eq!(Backend::named(backend.name()), Ok(backend));
        assert_eq!(format!("{backend} {backend:?}"), format!("{0} {0}", backend.name()));
        backend.force();
        assert_eq!(Backend::active(), if built_scalar { Backend::SCALAR } else { backend });

        // Forced for the program and chosen for a call: the same bits.
        let x: Vec<f32> = (0..100).map(|i| (i % 17) as f32 / 3.0).collect();
        let (mut a, mut b) = (x.clone(), x);
        Softmax::new().forward_in_place(&mut a).unwrap();
        Softmax::new().backend(Backend::active()).forward_in_place(&mut b).unwrap();
        assert_eq!(a, b);
        Sigmoid::new().forward_in_place(&mut a).unwrap();
        Sigmoid::new().backend(Backend::active()).forward_in_place(&mut b).unwrap();
        assert_eq!(a, b);
    }
    Backend::unforce();
    assert_eq!(Backend::active(), fastest);
}
