-- Limits: what was counted in a window and in the one before it. Each step holds the advisory locks of its keys, taken in ascending order.

create table vestibule.counters (
    key           bytea primary key,
    window_number bigint not null,
    counted       bigint not null,
    before        bigint not null,
    forgotten_at  timestamptz not null
);
create index on vestibule.counters (forgotten_at);

comment on table vestibule.counters is 'Limits, by keyed digest: what was counted in a window (numbered from the epoch) and in the one before it.';

-- Counts one more under every key, or under none. "which" is null where it counted; else the place of the quota that is used up, from 0, with what stands under its key.
-- A row one window ahead of the caller was written by an instance whose clock is a little ahead: it counts as it stands.
create function vestibule.spend(
    p_locks bigint[], p_keys bytea[], p_most bigint[], p_lengths bigint[], p_windows bigint[], p_forgotten timestamptz[], p_now bigint,
    out which integer, out window_number bigint, out counted bigint, out before bigint
) language plpgsql as $$
#variable_conflict use_variable
declare
    lock_number bigint;
    held record;
    elapsed bigint;
begin
    -- Counts of the last moments may be lost where the database server crashes; waiting for its disk under these locks would cost every visitor.
    perform set_config('synchronous_commit', 'off', true);
    foreach lock_number in array p_locks loop
        perform pg_advisory_xact_lock(lock_number);
    end loop;
    for i in 1 .. cardinality(p_keys) loop
        window_number := p_windows[i];
        counted := 0;
        before := 0;
        select c.window_number, c.counted, c.before into held from vestibule.counters c where c.key = p_keys[i];
        if found and held.window_number in (window_number, window_number + 1) then
            window_number := held.window_number;
            counted := held.counted;
            before := held.before;
        elsif found and held.window_number = window_number - 1 then
            before := held.counted;
        end if;
        elapsed := greatest(p_now - window_number * p_lengths[i], 0);
        if before * (p_lengths[i] - elapsed) + (counted + 1) * p_lengths[i] > p_most[i] * p_lengths[i] then
            which := i - 1;
            return;
        end if;
    end loop;
    for i in 1 .. cardinality(p_keys) loop
        insert into vestibule.counters as c (key, window_number, counted, before, forgotten_at)
            values (p_keys[i], p_windows[i], 1, 0, p_forgotten[i])
            on conflict (key) do update set
                window_number = case when c.window_number = p_windows[i] + 1 then c.window_number else p_windows[i] end,
                counted = case when c.window_number in (p_windows[i], p_windows[i] + 1) then c.counted + 1 else 1 end,
                before = case
                    when c.window_number in (p_windows[i], p_windows[i] + 1) then c.before
                    when c.window_number = p_windows[i] - 1 then c.counted
                    else 0 end,
                forgotten_at = case
                    when c.window_number = p_windows[i] + 1 then greatest(c.forgotten_at, excluded.forgotten_at)
                    else excluded.forgotten_at end;
    end loop;
end $$;

create function vestibule.refund(p_locks bigint[], p_keys bytea[], p_windows bigint[])
returns void language plpgsql as $$
declare
    lock_number bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    foreach lock_number in array p_locks loop
        perform pg_advisory_xact_lock(lock_number);
    end loop;
    for i in 1 .. cardinality(p_keys) loop
        update vestibule.counters c set counted = c.counted - 1
            where c.key = p_keys[i] and c.window_number in (p_windows[i], p_windows[i] + 1) and c.counted > 0;
    end loop;
end $$;
