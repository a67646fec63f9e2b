-- Who may refresh, what refreshes brought, and which sessions have ended.
--
-- Every step on a session holds the advisory lock of its number (p_lock) to the end of its transaction. At READ COMMITTED each statement of a function
-- looks anew, so what stands after the lock sees all that its last holder did.

create sequence vestibule.fences;

create table vestibule.leases (
    sid     bytea not null,
    rt      bytea not null,
    fence   bigint not null,
    ends_at timestamptz not null,
    primary key (sid, rt)
);
create index on vestibule.leases (ends_at);

create table vestibule.results (
    sid        bytea not null,
    rt         bytea not null,
    generation bigint not null,
    sealed     bytea not null,
    stored_at  timestamptz not null,
    keep_until timestamptz not null,
    primary key (sid, rt)
);
create index on vestibule.results (keep_until);

create table vestibule.ended (
    sid     bytea primary key,
    ends_at timestamptz not null,
    -- Numbers are given before rows become visible, so a reader that follows by number would miss the one that commits late. The transaction's own
    -- number can be held against the oldest that still runs: what is below that has been seen.
    tx      bigint not null default (pg_current_xact_id()::text::bigint)
);
create index on vestibule.ended (tx);
create index on vestibule.ended (ends_at);

comment on table vestibule.leases is 'Who asks the authority for new tokens now, by session and SHA-256 of the refresh token.';
comment on table vestibule.results is 'What refreshes brought, sealed with a key that is not in this database.';
comment on table vestibule.ended is 'Sessions that have ended, remembered until ends_at.';

create function vestibule.lease(
    p_lock bigint, p_sid bytea, p_rt bytea, p_known bigint, p_until timestamptz, p_now timestamptz,
    out answer text, out number bigint, out moment timestamptz, out payload bytea
) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(p_lock);
    select e.ends_at into moment from vestibule.ended e where e.sid = p_sid and e.ends_at > p_now;
    if found then
        answer := 'ended';
        return;
    end if;
    select r.generation, r.stored_at, r.sealed into number, moment, payload
        from vestibule.results r
        where r.sid = p_sid and r.rt = p_rt and r.keep_until > p_now and r.generation > p_known;
    if found then
        answer := 'result';
        return;
    end if;
    select l.ends_at into moment from vestibule.leases l where l.sid = p_sid and l.rt = p_rt and l.ends_at > p_now;
    if found then
        answer := 'held';
        return;
    end if;
    insert into vestibule.leases as l (sid, rt, fence, ends_at)
        values (p_sid, p_rt, nextval('vestibule.fences'), p_until)
        on conflict (sid, rt) do update set fence = excluded.fence, ends_at = excluded.ends_at
        returning l.fence into number;
    answer := 'granted';
end $$;

-- p_generation is null where the refresh brought nothing of use.
create function vestibule.settle(
    p_lock bigint, p_sid bytea, p_rt bytea, p_fence bigint, p_generation bigint, p_sealed bytea, p_keep_until timestamptz,
    p_most bigint, p_now timestamptz,
    out answer text, out moment timestamptz
) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(p_lock);
    select e.ends_at into moment from vestibule.ended e where e.sid = p_sid and e.ends_at > p_now;
    if found then
        answer := 'ended';
        return;
    end if;
    delete from vestibule.leases l where l.sid = p_sid and l.rt = p_rt and l.fence = p_fence;
    if not found then
        answer := 'lost';
        return;
    end if;
    if p_generation is not null then
        insert into vestibule.results (sid, rt, generation, sealed, stored_at, keep_until)
            values (p_sid, p_rt, p_generation, p_sealed, p_now, p_keep_until)
            on conflict (sid, rt) do update set generation = excluded.generation, sealed = excluded.sealed,
                stored_at = excluded.stored_at, keep_until = excluded.keep_until;
        delete from vestibule.results r where r.sid = p_sid and r.rt in (
            select o.rt from vestibule.results o
            where o.sid = p_sid order by o.stored_at desc, o.generation desc offset p_most);
    end if;
    perform pg_notify('vestibule', 'settled ' || encode(p_sid, 'hex'));
    answer := 'stored';
end $$;

create function vestibule.acknowledge(p_lock bigint, p_sid bytea, p_generation bigint, p_keep_until timestamptz)
returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(p_lock);
    update vestibule.results r set keep_until = p_keep_until
        where r.sid = p_sid and r.generation <= p_generation and r.keep_until > p_keep_until;
end $$;

create function vestibule.end_session(p_lock bigint, p_sid bytea, p_until timestamptz)
returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(p_lock);
    insert into vestibule.ended as e (sid, ends_at) values (p_sid, p_until)
        on conflict (sid) do update set ends_at = greatest(e.ends_at, excluded.ends_at), tx = excluded.tx;
    delete from vestibule.leases l where l.sid = p_sid;
    delete from vestibule.results r where r.sid = p_sid;
    perform pg_notify('vestibule',
        'ended ' || encode(p_sid, 'hex') || ' ' || (extract(epoch from p_until) * 1000)::bigint);
end $$;
