//! HTTP/2 as RFC 9113 and RFC 7541 say it, case by case.
