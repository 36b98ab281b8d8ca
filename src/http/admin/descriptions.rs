//! The meaning of each metric: the HELP lines. Counters and gauges are set where things happen; all descriptions are
//! here, to be read in one place. A test compares the two.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

const GAUGES: &[(&str, &str)] = &[
    ("patchbay_build_info", "Always 1; the label has the version."),
    (
        "patchbay_http_connections",
        "HTTP connections that are open now. By HTTP/2 also those of WebSockets.",
    ),
    ("patchbay_sessions", "Signaling connections (WebSockets) now."),
    ("patchbay_rooms", "Rooms with somebody in them now."),
    ("patchbay_participants", "Participants in all rooms now."),
    ("patchbay_users_online", "Users who can be reached by message now."),
    ("patchbay_peers", "WebRTC connections that participants hold now."),
    ("patchbay_calls", "One-to-one calls that ring or are going on now."),
    (
        "patchbay_reachable_sessions",
        "Sessions at which a call can ring now, those of the message socket among them.",
    ),
    (
        "patchbay_robots",
        "Robots in rooms now, those on their way there included.",
    ),
    (
        "patchbay_open_channels",
        "Calls over HTTP that ring or are going on now.",
    ),
    ("patchbay_media_workers", "Media workers that run now."),
    ("patchbay_media_peers", "WebRTC connections on a media worker now."),
    (
        "patchbay_media_suspended_peers",
        "Of these, connections whose client has fallen silent and may come back.",
    ),
    (
        "patchbay_media_speaking_peers",
        "Of these, connections whose participant speaks now, as far as their client sends audio levels.",
    ),
    (
        "patchbay_media_steered_peers",
        "Connections that are now asked to send less than they could, because nobody sees the rest.",
    ),
    (
        "patchbay_media_full_videos",
        "Videos that viewers are sent now as they want them, each counted for every viewer whose videos share a known path.",
    ),
    (
        "patchbay_media_reduced_videos",
        "Videos that viewers are sent now smaller than they want them.",
    ),
    (
        "patchbay_media_paused_videos",
        "Videos that viewers want and are not sent now, for want of bandwidth or because nothing comes from the publisher.",
    ),
    (
        "patchbay_media_unwanted_videos",
        "Videos that are not sent now because their viewer does not show them.",
    ),
    (
        "patchbay_media_video_changes_total",
        "Times that what a viewer gets of a video became something else.",
    ),
    (
        "patchbay_media_paused_video_seconds_total",
        "Time for which videos were not sent because a viewer's path did not carry them.",
    ),
    ("patchbay_media_tracks", "Published tracks on a media worker now."),
    (
        "patchbay_media_subscriptions",
        "Copies of tracks that a media worker sends to subscribers now.",
    ),
    (
        "patchbay_media_rooms",
        "Rooms with connections on a media worker now; one that several workers serve counts at each.",
    ),
    (
        "patchbay_media_mirrored_tracks",
        "Tracks of other media workers that this one has subscribers for.",
    ),
    (
        "patchbay_media_known_addresses",
        "Client addresses that passed an authenticated STUN check, on a media worker now.",
    ),
    (
        "patchbay_turn_allocations",
        "Allocations at the relay (TURN) now; a browser makes some for each connection, used or not.",
    ),
    (
        "patchbay_media_tcp_peers",
        "Connections on a media worker that media is sent to by TCP now; it is sent to the others by UDP.",
    ),
    (
        "patchbay_media_relay_peers",
        "Connections on a media worker that media is sent to by the relay (TURN) now.",
    ),
    (
        "patchbay_media_tcp_connections",
        "TCP connections for media that are open on a media worker now. Clients that get media by UDP open some, too, and close them within seconds.",
    ),
    (
        "patchbay_media_repeating_copies",
        "Copies of sound whose packets repeat earlier sound, because their clients lose packets, now.",
    ),
    (
        "patchbay_media_estimates",
        "Paths to clients whose bit rate is estimated now, by what the estimator is doing.",
    ),
    (
        "patchbay_media_cache_bytes",
        "Memory in which a media worker keeps the last packets, for subscribers who miss some.",
    ),
];

const COUNTERS: &[(&str, &str)] = &[
    (
        "patchbay_sockets_cut_total",
        "WebSockets that were cut while their client may come with another one.",
    ),
    (
        "patchbay_sockets_resumed_total",
        "Clients that went on over another WebSocket, and missed nothing.",
    ),
    ("patchbay_channel_calls_total", "Calls that were placed over HTTP."),
    (
        "patchbay_channel_silences_total",
        "People who were taken out of a call over HTTP because nothing was heard of them.",
    ),
    (
        "patchbay_push_notices_total",
        "Notices of calls for devices whose apps are closed: that a call rings (incoming), and that it is over.",
    ),
    (
        "patchbay_push_sent_total",
        "Notices that a push service has taken, one for each device.",
    ),
    (
        "patchbay_push_failed_total",
        "Notices that no push service has taken, one for each device, by the last reason.",
    ),
    (
        "patchbay_push_retries_total",
        "Attempts to send a notice that are made again, by the reason.",
    ),
    (
        "patchbay_push_removed_tokens_total",
        "Devices that were forgotten because their push service no longer knows them.",
    ),
    (
        "patchbay_call_tasks_total",
        "Scheduled calls whose time has come, by what became of them.",
    ),
    (
        "patchbay_webhooks_total",
        "Attempts to post a message to the operator's back end, by outcome.",
    ),
    (
        "patchbay_http_requests_total",
        "HTTP requests answered, by route and status.",
    ),
    ("patchbay_files_uploaded_total", "Files uploaded."),
    (
        "patchbay_texts_left_out_total",
        "Texts, messages and announcements not sent to sessions that read too slowly.",
    ),
    (
        "patchbay_arrivals_left_out_total",
        "Arrivals on the message socket that were not announced, because too many users had joined and left from their address.",
    ),
    (
        "patchbay_messages_over_share_total",
        "Messages for absent people that were not kept, because the sender's address had used its share.",
    ),
    (
        "patchbay_displaced_peers_total",
        "WebRTC connections that were ended before they had connected, to make place for others.",
    ),
    (
        "patchbay_task_losses_total",
        "Tasks that should run for ever but ended; they began anew.",
    ),
    (
        "patchbay_log_lines_lost_total",
        "Lines of the log that were lost because nobody read them in time.",
    ),
    (
        "patchbay_panics_total",
        "Failures that should not be possible: each is an error in the program, and a line of the log.",
    ),
    (
        "patchbay_files_half_uploads_cleared_total",
        "Incomplete uploads of an earlier run, deleted at start.",
    ),
    (
        "patchbay_passwords_wrong_total",
        "Joins refused because a room's password was missing or wrong.",
    ),
    (
        "patchbay_guesses_refused_total",
        "Joins refused unchecked after too many wrong passwords for the room from the same address.",
    ),
    (
        "patchbay_storage_errors_total",
        "Admissions, requests about accounts, and messages for absent people that failed because of storage.",
    ),
    (
        "patchbay_messages_received_total",
        "Signaling messages from clients, by family.",
    ),
    (
        "patchbay_media_worker_losses_total",
        "Media workers that ended or hung; the connections and tracks that lived there ended, too.",
    ),
    (
        "patchbay_media_received_datagrams_total",
        "Datagrams of any kind that a media worker received.",
    ),
    (
        "patchbay_media_received_packets_total",
        "RTP packets from publishers that were authentic and new.",
    ),
    (
        "patchbay_media_forwarded_packets_total",
        "Copies of RTP packets sent to subscribers.",
    ),
    (
        "patchbay_media_mirrored_packets_total",
        "RTP packets passed on over links: to other media workers that serve the same room, and to recorders.",
    ),
    (
        "patchbay_media_mirror_dropped_packets_total",
        "RTP packets that were to be passed on over links and were dropped, because the other end did not take them in time.",
    ),
    (
        "patchbay_media_sends_total",
        "Sends to the kernel; one may carry many packets (UDP segmentation offload).",
    ),
    (
        "patchbay_media_unsent_datagrams_total",
        "Datagrams lost before they were sent, because a media worker had too much to send at once.",
    ),
    (
        "patchbay_media_refused_datagrams_total",
        "Datagrams that the operating system did not take: its buffers were full, or no way leads to the address.",
    ),
    (
        "patchbay_turn_refused_requests_total",
        "Requests to the relay (TURN) that were answered by an error, by its code. 401 and 438 are the usual way to a nonce.",
    ),
    (
        "patchbay_turn_closed_connections_total",
        "Connections to the relay (TURN) by TCP and TLS that were closed, by reason: ended by the client; no_message, something else than \
         TURN; silent, without an allocation; gave_way to another one; share, its address has as many as it may; stop of the server.",
    ),
    (
        "patchbay_turn_dropped_packets_total",
        "Packets that the relay (TURN) dropped, by reason: unreadable; not_permitted, for an address that is no media worker's, or \
         without an allocation; too_much of one client; worker_busy; ended, for a client whose allocation has ended; unasked, answers to \
         an address that asks too often without credentials; slow_reader, by TCP; unsent, which the kernel did not take.",
    ),
    (
        "patchbay_media_relay_dropped_packets_total",
        "Packets that were dropped because the relay (TURN) had too many waiting for its clients.",
    ),
    (
        "patchbay_media_tcp_dropped_packets_total",
        "Packets that were dropped because their client read its TCP connection too slowly: video, the oldest first.",
    ),
    (
        "patchbay_media_tcp_refused_connections_total",
        "TCP connections for media that a media worker closed: their first check was for none of its clients, or they announced too large a packet.",
    ),
    (
        "patchbay_media_tcp_unnamed_connections_total",
        "TCP connections for media that were closed before they named a client, by the reason: no connectivity check, silence, too many of them.",
    ),
    (
        "patchbay_media_resent_packets_total",
        "Copies of RTP packets sent again because a subscriber missed them.",
    ),
    (
        "patchbay_media_dropped_datagrams_total",
        "Datagrams dropped: from an unknown address, unreadable, or of no known kind.",
    ),
    (
        "patchbay_media_rejected_packets_total",
        "SRTP and SRTCP packets that were not authentic, or replayed.",
    ),
    (
        "patchbay_media_rejected_checks_total",
        "STUN checks that were not authentic.",
    ),
    (
        "patchbay_media_nacks_sent_total",
        "Requests (NACK messages) to publishers to send packets again.",
    ),
    (
        "patchbay_media_nacks_received_total",
        "Requests (NACK messages) of subscribers to send packets again.",
    ),
    (
        "patchbay_media_key_frame_requests_sent_total",
        "Key frames asked for from publishers.",
    ),
    (
        "patchbay_media_key_frame_requests_received_total",
        "Key frames asked for by subscribers.",
    ),
    (
        "patchbay_media_reported_packets_total",
        "Packets of which a client's transport-wide feedback said whether they came.",
    ),
    (
        "patchbay_media_reported_lost_packets_total",
        "Packets that did not come, by the transport-wide feedback of clients.",
    ),
    (
        "patchbay_media_probes_won_total",
        "Probes that showed that a path carries more than was known.",
    ),
    (
        "patchbay_media_probes_lost_total",
        "Probes that showed no more than was known.",
    ),
    (
        "patchbay_media_replays_total",
        "Viewers who began, or went on in another layer, with a key frame that had come before, so that no publisher had to send one.",
    ),
    (
        "patchbay_media_paced_packets_total",
        "Packets that waited for some milliseconds, because their path does not carry so many at once.",
    ),
    (
        "patchbay_media_probe_packets_total",
        "Packets that were sent only to learn whether a path carries more.",
    ),
    (
        "patchbay_media_estimates_sent_total",
        "Rates (REMB) that publishers were told to keep to.",
    ),
    (
        "patchbay_media_layer_orders_total",
        "Messages to clients that say which encodings of their video are wanted.",
    ),
    (
        "patchbay_media_held_packets_total",
        "Packets of sound that were forwarded to nobody, because others in their large room were louder.",
    ),
    (
        "patchbay_media_recovered_packets_total",
        "Packets of sound that were lost on the way from their publisher, and taken from the packets after them (RED).",
    ),
    (
        "patchbay_media_undecodable_total",
        "Times that a subscriber could not decode any format that a publisher sends. Until that changes, it is sent nothing.",
    ),
    (
        "patchbay_media_sound_seconds_total",
        "Seconds of sound of all participants whose client sends audio levels, by loudness: silence (below -100 dBov: muted, or a \
         microphone that gives nothing), quiet, speech (from -55 dBov), loud (from -12 dBov: often distorted).",
    ),
    (
        "patchbay_media_visits_total",
        "Times that a media worker looked at a connection or a track because something of it was due, or at a link because something \
         came over it. Those that are merely there are seldom looked at.",
    ),
    (
        "patchbay_media_peers_connected_total",
        "WebRTC connections whose DTLS handshake finished.",
    ),
    (
        "patchbay_media_peers_failed_total",
        "WebRTC connections that never connected, or were lost.",
    ),
];

const HISTOGRAMS: &[(&str, Unit, &str)] = &[
    (
        "patchbay_http_request_seconds",
        Unit::Seconds,
        "Seconds from the head of a request to the head of its answer.",
    ),
    (
        "patchbay_media_target_bits_per_second",
        Unit::BitsPerSecond,
        "Bit rate that the path to a client is estimated to carry: a sample of each estimated path each second.",
    ),
    (
        "patchbay_media_acked_bits_per_second",
        Unit::BitsPerSecond,
        "Bit rate that arrives at a client, by its reports: a sample of each path each second whose client reports single packets.",
    ),
    (
        "patchbay_media_queue_delay_seconds",
        Unit::Seconds,
        "Time that packets wait in queues on the path to a client: a sample of each path each second whose client reports single \
         packets.",
    ),
    (
        "patchbay_media_loss_ratio",
        Unit::Count,
        "Share of packets that were lost in the last second on the path to a client: a sample of each path each second whose client \
         reports single packets.",
    ),
];

pub(super) fn describe() {
    for (name, meaning) in GAUGES {
        describe_gauge!(*name, *meaning);
    }
    for (name, meaning) in COUNTERS {
        describe_counter!(*name, *meaning);
    }
    describe_counter!(
        "patchbay_files_uploaded_bytes_total",
        Unit::Bytes,
        "Bytes of files uploaded."
    );
    describe_counter!(
        "patchbay_media_received_bytes_total",
        Unit::Bytes,
        "Bytes in datagrams that a media worker received."
    );
    for (name, unit, meaning) in HISTOGRAMS {
        describe_histogram!(*name, *unit, *meaning);
    }
}
