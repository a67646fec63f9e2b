//! Redirects that would lead off the site, and pages that would repeat what a request says.
