//! The front door over real sockets: pages, headers, TLS, files, health and metrics, and how all of them end.

mod accounts;
mod acme;
mod conferences;
mod connections;
mod dapi;
mod dapi_restarts;
mod dapi_wire;
mod disk;
mod gate;
mod health;
mod http_2;
mod openapi;
mod outage;
mod pages;
mod posting;
pub mod running;
mod shares;
mod tls;
mod uploads;
mod uploads_over_time;
