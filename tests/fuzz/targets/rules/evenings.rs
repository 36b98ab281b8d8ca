//! Seeds of the rules' target.

/// Inputs that each begin with the usual limits.
pub fn evenings() -> Vec<Vec<u8>> {
    // Two people in a room, who publish and watch one another; one ends a connection and publishes anew; the media of one come and go;
    // the engine loses the room.
    let room: [&[u8]; 10] = [
        &[0],
        &[0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0],
        &[0, 2, 0, 0, 1, 2, 1, 1, 1, 2, 0, 2],
        &[0, 26, 3, 0, 0, 0, 2, 0, 0, 1],
        &[0, 4, 1, 13],
        &[192, 4, 0, 192, 5, 0, 192, 4, 0, 192, 6, 1],
        &[192, 0, 1, 160, 10],
        &[1, 1],
        &[1, 0, 1, 0, 0, 0],
        &[192, 8, 0],
    ];
    // A call that is carried, renewed and hung up; one that is declined; one that meets in a room of its own.
    let calls: [&[u8]; 7] = [
        &[0],
        &[2, 8, 2, 0, 0, 3, 8, 3, 0, 0],
        &[2, 9, 3, 0, 0, 0, 3, 10, 2, 0, 1],
        &[2, 12, 2, 2, 11],
        &[2, 9, 3, 0, 0, 0, 3, 10, 2, 2],
        &[2, 9, 3, 1, 0, 0, 3, 10, 2, 1],
        &[160, 70, 226],
    ];
    // Messages to somebody who is there, to everybody, and to somebody who comes later.
    let messages: [&[u8]; 4] = [
        &[0],
        &[4, 5, 0, 0, 5, 5, 1, 1],
        &[4, 6, 1, 1, 0, 4, 6, 0, 2, 4, 6, 1, 2, 1],
        &[5, 7, 6, 5, 2, 0, 160, 70],
    ];
    // Two at whom calls may ring, and one who only asks, for somebody; a call to both, which one answers; another, which
    // nobody answers.
    let several: [&[u8]; 5] = [
        &[0],
        &[2, 8, 0, 0, 0, 3, 8, 1, 0, 0, 6, 17, 2, 0],
        &[6, 16, 2, 0, 1, 1, 0, 0, 3, 10, 2, 1, 6, 11],
        &[4, 17, 3, 0, 4, 19, 1, 0, 4, 11, 6, 16, 3, 0, 1, 3, 1, 0, 0],
        &[160, 70, 226],
    ];
    // One who brings an offer and one who goes into a room call one another in turn; whoever was brought into the room renews their
    // connection and hangs up, or it is lost.
    let across: [&[u8]; 6] = [
        &[0],
        &[2, 24, 0, 0, 0, 3, 25, 1, 0, 0],
        &[2, 9, 1, 2, 0, 0, 0, 0, 3, 10, 0, 1],
        &[3, 0, 0, 1, 0, 0, 0, 1, 2, 12, 2, 2, 11],
        &[3, 9, 0, 3, 0, 0, 0, 2, 10, 1, 0, 1],
        &[192, 0, 0, 160, 70, 226],
    ];
    // A stay of one second that is renewed for a longer one; somebody whom nobody sees, of the same name, who watches; both ends.
    let stays = vec![
        0, 0, 21, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 21, 0, 1, 0, 3, 0, 0, 0, 0, 0, 1, 21, 1, 0, 0, 2, 0, 0,
        0, 0, 0, 1, 2, 0, 0, 2, 160, 1, 160, 1, 160, 2,
    ];
    // Somebody waits for a host, who comes, mutes them, and locks the room; somebody else is let in, and spotlit; all guests are
    // muted; one is sent elsewhere, one is removed; the meeting ends.
    let meeting: [&[u8]; 9] = [
        &[0],
        &[0, 22, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 22, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1],
        &[0, 2, 1, 0, 0, 1, 2, 0, 0, 1],
        &[1, 23, 2, 1, 0, 1, 0, 23, 2, 1, 0, 0, 1, 23, 0, 1],
        &[2, 22, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1, 1, 23, 5, 2, 1, 23, 3, 2, 1],
        &[1, 23, 1, 1, 0, 23, 10, 1, 1, 1, 23, 8, 2, 1, 2, 23, 4],
        &[1, 23, 9, 1, 0, 4, 1, 1, 23, 6, 1],
        &[3, 22, 0, 1, 1, 1, 3, 0, 0, 0, 0, 1, 1, 23, 0, 0],
        &[2, 23, 1, 0, 1, 23, 7],
    ];
    let evenings = [
        room.concat(),
        calls.concat(),
        messages.concat(),
        several.concat(),
        across.concat(),
        meeting.concat(),
    ];
    evenings.into_iter().chain([stays]).collect()
}
