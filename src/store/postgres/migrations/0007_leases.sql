-- Leases know their holder and when they were granted, and are granted again to a holder that asks again; results are stored also without the lease; counts at
-- zero leave no row; keys that are taken once may have an owner, whose oldest ones go. The functions of the previous version stay, and both versions see each other's leases.

alter table vestibule.leases
    add column holder bytea,
    -- The fence that the holder was granted: the previous version changes the fence of a row and leaves the other columns as they are.
    add column holder_fence bigint,
    add column granted_at timestamptz,
    add column doubtful_until timestamptz;

comment on column vestibule.leases.holder is 'The process and refresh that has the lease; null if it was settled and is kept for doubtful_until alone.';
comment on column vestibule.leases.doubtful_until is 'Until then the call of an earlier holder that never settled may be answered.';

-- The arguments named p_..._ms are in milliseconds. p_now is clock_timestamp() of the calling statement.
create function vestibule.lease_to(
    p_lock bigint, p_sid bytea, p_rt bytea, p_known bigint, p_holder bytea, p_lasting_ms bigint, p_may_answer_ms bigint, p_now timestamptz,
    out answer text, out number bigint, out moment timestamptz, out payload bytea
) language plpgsql as $$
declare
    held record;
    until constant timestamptz := p_now + p_lasting_ms * interval '1 millisecond';
    may_answer constant interval := p_may_answer_ms * interval '1 millisecond';
    doubtful timestamptz := p_now;
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
    select l.fence, l.holder, l.holder_fence, l.granted_at, l.doubtful_until, l.ends_at into held
        from vestibule.leases l where l.sid = p_sid and l.rt = p_rt;
    if found then
        if held.holder = p_holder and held.holder_fence = held.fence then
            update vestibule.leases l set ends_at = until where l.sid = p_sid and l.rt = p_rt;
            answer := 'granted';
            number := held.fence;
            moment := coalesce(held.doubtful_until, p_now);
            return;
        end if;
        if held.ends_at > p_now then
            answer := 'held';
            moment := held.ends_at;
            return;
        end if;
        doubtful := greatest(p_now, held.doubtful_until);
        if held.holder_fence is distinct from held.fence then
            doubtful := greatest(doubtful, held.ends_at + may_answer);
        elsif held.holder is not null then
            doubtful := greatest(doubtful, held.granted_at + may_answer);
        end if;
    end if;
    insert into vestibule.leases as l (sid, rt, fence, ends_at) values (p_sid, p_rt, nextval('vestibule.fences'), until)
        on conflict (sid, rt) do update set fence = excluded.fence, ends_at = excluded.ends_at
        returning l.fence into number;
    update vestibule.leases l
        set holder = p_holder, holder_fence = l.fence, granted_at = p_now, doubtful_until = doubtful
        where l.sid = p_sid and l.rt = p_rt;
    answer := 'granted';
    moment := doubtful;
end $$;

-- p_generation is null where the refresh brought nothing of use.
create function vestibule.settle_by(
    p_lock bigint, p_sid bytea, p_rt bytea, p_fence bigint, p_generation bigint, p_sealed bytea, p_keep_until timestamptz,
    p_most bigint, p_now timestamptz,
    out answer text, out moment timestamptz
) language plpgsql as $$
declare
    was_held boolean;
    fresh bigint;
begin
    perform pg_advisory_xact_lock(p_lock);
    select e.ends_at into moment from vestibule.ended e where e.sid = p_sid and e.ends_at > p_now;
    if found then
        answer := 'ended';
        return;
    end if;
    if p_generation is null then
        -- Kept while it is doubtful, under a new fence: this one was settled.
        fresh := nextval('vestibule.fences');
        update vestibule.leases l set fence = fresh, holder = null, holder_fence = fresh, ends_at = p_now
            where l.sid = p_sid and l.rt = p_rt and l.fence = p_fence and l.doubtful_until > p_now;
        was_held := found;
    end if;
    if was_held is not true then
        delete from vestibule.leases l where l.sid = p_sid and l.rt = p_rt and l.fence = p_fence;
        was_held := found;
    end if;
    if not was_held then
        perform 1 from vestibule.results r
            where r.sid = p_sid and r.rt = p_rt and r.keep_until > p_now and r.generation >= p_generation;
        if found or p_generation is null then
            answer := 'lost';
            return;
        end if;
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

create function vestibule.give_back(p_locks bigint[], p_keys bytea[], p_windows bigint[])
returns void language plpgsql as $$
begin
    perform vestibule.refund(p_locks, p_keys, p_windows);
    delete from vestibule.counters c where c.key = any (p_keys) and c.counted = 0 and c.before = 0;
end $$;

alter table vestibule.taken add column owner bytea;
create index on vestibule.taken (owner, ends_at) where owner is not null;

comment on column vestibule.taken.owner is 'Digest of the client that took the key, where only its newest ones are kept.';

create function vestibule.take_of(p_owner bytea, p_most bigint, p_key bytea, p_until timestamptz, p_now timestamptz)
returns boolean language plpgsql as $$
begin
    insert into vestibule.taken as t (key, ends_at, owner) values (p_key, p_until, p_owner)
        on conflict (key) do update set ends_at = excluded.ends_at, owner = excluded.owner where t.ends_at <= p_now;
    if not found then
        return false;
    end if;
    delete from vestibule.taken t where t.key in (
        select o.key from vestibule.taken o where o.owner = p_owner and o.key <> p_key
        order by o.ends_at desc offset greatest(p_most - 1, 0));
    return true;
end $$;
