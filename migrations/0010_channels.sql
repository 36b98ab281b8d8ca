-- Calls that an app's back end makes over HTTP. All times are seconds since 1970-01-01 UTC; 0: not yet.
CREATE TABLE channels (
    -- The room in which the people of the call meet.
    channel TEXT NOT NULL PRIMARY KEY,
    caller TEXT NOT NULL,
    extra_msg TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- When somebody answered, when people began to talk, when it was over.
    answered_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    -- How it ended; '' while it goes on.
    ending TEXT NOT NULL,
    -- Whether the record of the call has been handed on to be posted: 0 or 1.
    posted BIGINT NOT NULL,
    -- Whose share of the records it counts against: the client address from which the call was made ('' for this machine).
    client TEXT NOT NULL
);

CREATE INDEX channels_by_age ON channels (created_at);
CREATE INDEX channels_by_end ON channels (ended_at, posted);
CREATE INDEX channels_by_client ON channels (client);

-- The people of each call: the caller first.
CREATE TABLE channel_members (
    id BIGINT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    member TEXT NOT NULL,
    -- 0: called, 1: has got the call, 2: it is over for them.
    status BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- When they entered the call, were last heard of, and left it.
    joined_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    left_at BIGINT NOT NULL,
    UNIQUE (channel, member)
);

CREATE INDEX channel_members_by_name ON channel_members (member, created_at);

-- What clients have reported of a call, and what the server has noticed.
CREATE TABLE channel_events (
    channel TEXT NOT NULL,
    -- Counts up in each channel.
    number BIGINT NOT NULL,
    member TEXT NOT NULL,
    code BIGINT NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (channel, number)
);

-- Calls that are made when their time comes.
CREATE TABLE call_tasks (
    id BIGINT NOT NULL PRIMARY KEY,
    caller TEXT NOT NULL,
    -- A JSON list of names.
    callees TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    -- The app's own id of the task.
    task TEXT NOT NULL,
    -- 0: waits, 1: is being made, 2: was made, 3: failed.
    status BIGINT NOT NULL,
    fired_at BIGINT NOT NULL,
    -- The channel of the call that was made, or why none was.
    channel TEXT NOT NULL,
    failure TEXT NOT NULL,
    client TEXT NOT NULL
);

CREATE INDEX call_tasks_by_time ON call_tasks (status, due_at);
CREATE INDEX call_tasks_by_caller ON call_tasks (caller, id);
CREATE INDEX call_tasks_by_client ON call_tasks (client);

-- How apps on phones can be reached that are closed: the token of each device at its push service.
CREATE TABLE push_devices (
    member TEXT NOT NULL,
    device TEXT NOT NULL,
    token TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    client TEXT NOT NULL,
    PRIMARY KEY (member, device)
);

CREATE INDEX push_devices_by_age ON push_devices (seen_at);
CREATE INDEX push_devices_by_client ON push_devices (client);

-- The last id of each kind of record: ids never come again.
CREATE TABLE record_numbers (
    kind TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);

INSERT INTO record_numbers (kind, last) VALUES ('members', 0), ('tasks', 0);
