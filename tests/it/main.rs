//! The integration tests: what visitors, backends and operators see of a running gateway.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed, in its helpers too")]
#![expect(clippy::similar_names, reason = "`heard` and `head` are both the harness's words")]

mod harness;

mod access;
mod admin;
mod architecture;
mod arrival;
mod auth_js;
mod auth_js_pages;
mod bounds;
mod callback;
mod claims;
mod config_files;
mod cookies;
mod cross_site;
mod cve;
mod demo_page;
mod demo_servers;
mod documents;
mod drain;
mod egress;
mod first_steps;
mod fleet;
mod floods;
mod gateway_authority;
mod h2;
mod h2_conformance;
mod hasura;
mod hosts;
mod leases;
mod limits;
mod login;
mod logout;
mod logs;
mod mail;
mod oauth2;
mod otp;
mod outage;
mod own_pages;
mod page_pictures;
mod planted_cookies;
mod proxying;
mod real_provider;
mod refresh;
mod retry_on_401;
mod return_to;
mod samples;
mod session;
mod slow_clients;
mod spellings;
mod sse;
mod store_entries;
mod strictness;
mod tls;
mod trusted_proxy;
mod websocket;
