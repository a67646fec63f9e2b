-- One-time codes: a row for each, kept for whoever audits them after they are over.
--
-- Every step on the codes of an address holds the advisory lock of its number (p_lock) to the end of its transaction.

create sequence vestibule.claims;

create table vestibule.codes (
    id             bigint generated always as identity primary key,
    channel        text not null,
    purpose        text not null,
    address_masked text not null,
    address_hash   bytea not null,
    browser_hash   bytea not null,
    made_at        timestamptz not null,
    expires_at     timestamptz not null,
    cool_until     timestamptz not null,
    tries          bigint not null default 0,
    sent_again     bigint not null default 0,
    claim          bigint,
    claimed_until  timestamptz,
    verified_at    timestamptz,
    ended_at       timestamptz,
    ended_how      text check (ended_how in ('verified', 'replaced', 'tries', 'expired')),
    mac            bytea,
    sealed         bytea,
    check ((ended_at is null) = (ended_how is null)),
    check ((verified_at is not null) = (ended_how is not distinct from 'verified')),
    check (ended_at is null or (mac is null and sealed is null and claim is null))
);
create index on vestibule.codes (address_hash, id);
create unique index on vestibule.codes (address_hash, browser_hash) where ended_at is null;
create index on vestibule.codes (expires_at) where ended_at is null;
create index on vestibule.codes (ended_at);
create index on vestibule.codes (made_at);

comment on table vestibule.codes is 'One-time codes, a row for each; deleted 30 days after their end.';
comment on column vestibule.codes.channel is 'sms or email';
comment on column vestibule.codes.purpose is 'verify, login or prove';
comment on column vestibule.codes.address_masked is 'whom it went to, masked';
comment on column vestibule.codes.address_hash is 'keyed digest of channel and address: the same for each code of an address';
comment on column vestibule.codes.browser_hash is 'digest of purpose and of the handle of the browser that asked';
comment on column vestibule.codes.made_at is 'when it was made and first sent';
comment on column vestibule.codes.cool_until is 'until then no other code is made for the address';
comment on column vestibule.codes.tries is 'how often it was tried, the right one counted too';
comment on column vestibule.codes.sent_again is 'how often the same code was sent once more';
comment on column vestibule.codes.claim is 'who showed the right code and is being served';
comment on column vestibule.codes.verified_at is 'when it was used up';
comment on column vestibule.codes.ended_how is 'verified, replaced (by a newer code of the same browser), tries (too many wrong ones), expired';
comment on column vestibule.codes.mac is 'keyed digest to compare with; gone once the code has ended';
comment on column vestibule.codes.sealed is 'the digits, sealed with a key that is not in this database; gone once the code has ended';

-- p_sent_before: a code made after that is too young (now less the cool-down).
create function vestibule.open_code(
    p_lock bigint, p_address bytea, p_browser bytea, p_mac bytea, p_sealed bytea, p_expires timestamptz,
    p_channel text, p_purpose text, p_masked text,
    p_sent_before timestamptz, p_cool_until timestamptz, p_most_live bigint, p_now timestamptz,
    out answer text, out moment timestamptz
) language plpgsql as $$
declare
    newest record;
    live bigint;
begin
    perform pg_advisory_xact_lock(p_lock);
    select c.made_at, c.cool_until into newest
        from vestibule.codes c where c.address_hash = p_address order by c.id desc limit 1;
    if found and newest.cool_until > p_now and newest.made_at > p_sent_before then
        answer := 'cooling';
        moment := newest.made_at;
        return;
    end if;
    select count(*), min(c.expires_at) into live, moment
        from vestibule.codes c
        where c.address_hash = p_address and c.browser_hash <> p_browser and c.ended_at is null and c.expires_at > p_now;
    if live >= p_most_live then
        answer := 'crowded';
        moment := coalesce(moment, p_now);
        return;
    end if;
    update vestibule.codes c
        set ended_at = least(c.expires_at, p_now),
            ended_how = case when c.expires_at > p_now then 'replaced' else 'expired' end,
            mac = null, sealed = null, claim = null
        where c.address_hash = p_address and c.browser_hash = p_browser and c.ended_at is null;
    insert into vestibule.codes
        (channel, purpose, address_masked, address_hash, browser_hash, made_at, expires_at, cool_until, mac, sealed)
        values (p_channel, p_purpose, p_masked, p_address, p_browser, p_now, p_expires, p_cool_until, p_mac, p_sealed);
    answer := 'stored';
end $$;

create function vestibule.again_code(
    p_lock bigint, p_address bytea, p_browser bytea, p_most bigint, p_now timestamptz,
    out answer text, out moment timestamptz, out payload bytea
) language plpgsql as $$
declare
    code record;
begin
    perform pg_advisory_xact_lock(p_lock);
    select c.id, c.sent_again, c.expires_at, c.sealed into code
        from vestibule.codes c
        where c.address_hash = p_address and c.browser_hash = p_browser and c.ended_at is null and c.expires_at > p_now;
    if not found then
        answer := 'none';
        return;
    end if;
    moment := code.expires_at;
    if code.sent_again >= p_most then
        answer := 'too often';
        return;
    end if;
    update vestibule.codes c set sent_again = c.sent_again + 1 where c.id = code.id;
    answer := 'code';
    payload := code.sealed;
end $$;

create function vestibule.try_code(
    p_lock bigint, p_address bytea, p_browser bytea, p_mac bytea, p_most_tries bigint, p_claim_until timestamptz,
    p_now timestamptz,
    out answer text, out number bigint
) language plpgsql as $$
declare
    code record;
begin
    perform pg_advisory_xact_lock(p_lock);
    select c.id, c.tries, c.claim, c.claimed_until, c.mac into code
        from vestibule.codes c
        where c.address_hash = p_address and c.browser_hash = p_browser and c.ended_at is null and c.expires_at > p_now;
    if not found or code.tries >= p_most_tries or (code.claim is not null and code.claimed_until > p_now) then
        answer := 'gone';
    elsif code.mac = p_mac then
        update vestibule.codes c
            set tries = c.tries + 1, claim = nextval('vestibule.claims'), claimed_until = p_claim_until
            where c.id = code.id
            returning c.claim into number;
        answer := 'right';
    elsif code.tries + 1 >= p_most_tries then
        update vestibule.codes c
            set tries = c.tries + 1, ended_at = p_now, ended_how = 'tries', mac = null, sealed = null, claim = null
            where c.id = code.id;
        answer := 'wrong';
    else
        update vestibule.codes c set tries = c.tries + 1 where c.id = code.id;
        answer := 'wrong';
    end if;
end $$;

create function vestibule.settle_code(
    p_lock bigint, p_address bytea, p_browser bytea, p_claim bigint, p_spent boolean, p_now timestamptz,
    out settled boolean
) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(p_lock);
    if p_spent then
        update vestibule.codes c
            set verified_at = p_now, ended_at = p_now, ended_how = 'verified', mac = null, sealed = null, claim = null
            where c.address_hash = p_address and c.browser_hash = p_browser and c.ended_at is null and c.claim = p_claim;
    else
        update vestibule.codes c
            set tries = greatest(c.tries - 1, 0), claim = null, claimed_until = null
            where c.address_hash = p_address and c.browser_hash = p_browser and c.ended_at is null and c.claim = p_claim;
    end if;
    settled := found;
end $$;
