-- What is past its time goes, a bounded number of rows at once; and a row to see whether the database can be written to.

create table vestibule.probes (
    id        integer primary key check (id = 1),
    probed_at timestamptz not null
);

comment on table vestibule.probes is 'When an instance last asked whether the database can be written to.';

-- Returns the most rows that went from one table: where that is p_most there is more to do. Rows that somebody holds are left for the next time.
create function vestibule.sweep(p_now timestamptz, p_most bigint) returns bigint
language plpgsql as $$
declare
    -- The clocks of instances and database differ: nothing goes before both are past its time. An hour more, because a lease or a claim that ran out is
    -- still worth something to its holder while nobody else has taken it.
    past constant timestamptz := least(p_now, clock_timestamp());
    due constant timestamptz := past - interval '1 hour';
    soon constant timestamptz := past - interval '10 minutes';
    gone bigint;
    most_gone bigint := 0;
begin
    if not pg_try_advisory_xact_lock(8531602334527809900) then
        return 0;
    end if;
    delete from vestibule.leases where ctid = any (array(
        select t.ctid from vestibule.leases t where t.ends_at <= due limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    delete from vestibule.results where ctid = any (array(
        select t.ctid from vestibule.results t where t.keep_until <= due limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    delete from vestibule.ended where ctid = any (array(
        select t.ctid from vestibule.ended t where t.ends_at <= due limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    delete from vestibule.taken where ctid = any (array(
        select t.ctid from vestibule.taken t where t.ends_at <= due limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    delete from vestibule.counters where ctid = any (array(
        select t.ctid from vestibule.counters t where t.forgotten_at <= due limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    delete from vestibule.families where ctid = any (array(
        select t.ctid from vestibule.families t where t.ends_at <= due limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    -- Codes stay for 30 days after their end, without anything that could be tried. One that is claimed is left to its claimant.
    update vestibule.codes c set ended_at = c.expires_at, ended_how = 'expired', mac = null, sealed = null, claim = null
        where c.ctid = any (array(
            select t.ctid from vestibule.codes t
            where t.ended_at is null and t.expires_at <= soon and (t.claim is null or t.claimed_until <= soon)
            limit p_most for update skip locked));
    get diagnostics gone = row_count;
    most_gone := greatest(most_gone, gone);
    delete from vestibule.codes where ctid = any (array(
        select t.ctid from vestibule.codes t where t.ended_at <= due - interval '30 days' limit p_most for update skip locked));
    get diagnostics gone = row_count;
    return greatest(most_gone, gone);
end $$;
