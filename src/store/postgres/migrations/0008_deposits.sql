-- Sealed values that are kept for minutes, a bounded number for each client.

create table vestibule.deposits (
    owner   bytea not null,
    key     bytea not null,
    value   bytea not null,
    ends_at timestamptz not null,
    primary key (owner, key)
);
create index on vestibule.deposits (ends_at);

comment on table vestibule.deposits is 'Sealed: outcomes of logins for a callback that comes twice, long return_to, logouts at providers.';

-- p_now is clock_timestamp() of the calling statement.
create function vestibule.deposit(
    p_owner bytea, p_lock bigint, p_key bytea, p_value bytea, p_until timestamptz, p_most bigint, p_now timestamptz
) returns void language plpgsql as $$
begin
    -- One deposit of an owner at a time, so that two at once do not both find room.
    perform pg_advisory_xact_lock(p_lock);
    delete from vestibule.deposits d where d.owner = p_owner and (d.key = p_key or d.ends_at <= p_now);
    delete from vestibule.deposits d where d.owner = p_owner and d.key = any (array(
        select t.key from vestibule.deposits t where t.owner = p_owner order by t.ends_at desc, t.key offset greatest(p_most - 1, 0)));
    insert into vestibule.deposits (owner, key, value, ends_at) values (p_owner, p_key, p_value, p_until);
    -- What is past its time goes with new ones: more than one for each that comes.
    delete from vestibule.deposits where ctid = any (array(
        select t.ctid from vestibule.deposits t where t.ends_at <= p_now
        limit 16 for update skip locked));
end $$;
