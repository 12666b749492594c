//! what is known of content.
