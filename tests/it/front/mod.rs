//! The front door over real sockets: pages, headers, TLS, files, health, metrics, and how all that ends.

mod accounts;
mod connections;
mod disk;
mod gate;
mod health;
mod pages;
mod running;
mod shares;
mod tls;
mod uploads;
mod uploads_over_time;
