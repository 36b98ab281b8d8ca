-- People known by their telephone number, each with the devices on which they have logged in.
CREATE TABLE devices (
    phone TEXT NOT NULL,
    device_id TEXT NOT NULL,
    PRIMARY KEY (phone, device_id)
);

-- Whom an account has among its contacts. A contact may log in for the first time later.
CREATE TABLE contacts (
    phone TEXT NOT NULL,
    contact TEXT NOT NULL,
    PRIMARY KEY (phone, contact)
);

-- What tokens are signed with. The newest signs; older ones are kept for as long as tokens that they signed are valid.
CREATE TABLE token_secrets (
    -- 32 random bytes, in hexadecimal digits.
    secret TEXT NOT NULL PRIMARY KEY,
    -- Seconds since 1970-01-01 UTC.
    made_at BIGINT NOT NULL
);
