#![no_main]

use ramgate_policy::{ImageName, Reference, Repository};

// A reference that is read is written so that it is read as the same, and so is what is judged of it.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = text.parse::<ImageName>();
    let Ok(reference) = text.parse::<Reference>() else {
        return;
    };
    assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
    if let Ok(repository) = reference.repository() {
        assert_eq!(repository.to_string().parse::<Repository>().as_ref(), Ok(&repository));
        assert_eq!(text.parse::<Repository>(), Ok(repository));
    }
});
