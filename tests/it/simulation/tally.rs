//! How often each thing was judged, and how often there was something to judge. Over many runs none of these counts may stay at
//! zero: a check that never has anything to judge never finds a fault.

macro_rules! tally {
    ($($(#[$doc:meta])* $count:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Tally {
            $($(#[$doc])* pub $count: u64,)*
        }

        impl Tally {
            pub fn add(&mut self, other: &Tally) {
                $(self.$count += other.$count;)*
            }

            /// The things that have never happened.
            pub fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($count), self.$count)),*];
                all.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
            }
        }
    };
}

tally! {
    /// Packets that somebody got, and those of them that had to be the next.
    packets,
    packets_in_order,
    /// Moments when the hub and the workers had to know the same connections.
    comparisons,
    /// Audits in which both workers had to agree with themselves, and with one another about rooms that both serve.
    audits,
    links_compared,
    /// Rooms with connections on both workers at an audit, which had to ask one another.
    rooms_on_both,
    /// Tracks of another worker at an audit, and those whose publishers are not heard.
    mirrored_tracks,
    mirrored_tracks_unheard,
    /// Workers that were lost while others mirrored their rooms, or they mirrored the others'; and workers lost after everybody
    /// had begun to leave.
    workers_lost_with_mirrors,
    workers_lost_at_the_end,
    /// Connections at an audit that had to be kept although their clients were not heard, after new offers for longer than
    /// without; and connections that had to be forgotten.
    kept_unheard,
    kept_unheard_by_offers,
    forgotten_unheard,
    /// Moments, at audits, when somebody had to know that another's media are lost, in a room and in a call.
    losses_known_in_rooms,
    losses_known_in_calls,
    /// Calls that somebody without a socket has begun, of several people; invitations that rang for them, and were taken back;
    /// people who did not answer while others still might, and calls that one accepted. And calls in a time without faults,
    /// which had to ring at everybody who was there.
    calls_without_socket,
    invitations,
    invitations_taken_back,
    callees_out,
    calls_accepted,
    calls_that_rang_at_all,
    /// Calls that rang at an account by the invitation of somebody on `/ws`; those that it accepted and were then over; and its
    /// answers that reached the caller.
    calls_across,
    calls_across_over,
    agreed_across,
    refused_across,
    /// Stays that were over when they had to be, and that were renewed before.
    stays_over,
    stays_renewed,
    /// People whom nobody sees: how often they entered, and how often their stay was over.
    unseen_entered,
    unseen_over,
    /// How often a host saw somebody without pictures, and somebody who had come back was sent that they are; how often hosts sent
    /// people away, and kept people out; and those who waited for a host.
    muted,
    muted_again,
    removed,
    locked_out,
    let_in,
    /// Answers to offers that restart ICE: the keys stay, or are made anew.
    restarts,
    new_associations,
    /// Checks with credentials from before a restart, none of which may be answered.
    former_checks,
    /// Datagrams that a worker sent, each to somebody who was heard lately.
    datagrams_sent,
}
