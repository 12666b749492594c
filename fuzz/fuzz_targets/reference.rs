#![no_main]

use ramgate_policy::{ImageName, InvalidReference, Reference, Repository};

// A reference that is read is written so that it is read as the same, and so is what is judged of it. What is judged may be
// longer than what was read, by the port of a host without a dot, and then too long to be read: never is it read as another.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = text.parse::<ImageName>();
    let Ok(reference) = text.parse::<Reference>() else {
        return;
    };
    assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
    let Ok(repository) = reference.repository() else {
        return;
    };
    assert_eq!(text.parse::<Repository>().as_ref(), Ok(&repository));
    match repository.to_string().parse::<Repository>() {
        Ok(read) => assert_eq!(read, repository),
        Err(problem) => assert_eq!(problem, InvalidReference::Length),
    }
});
