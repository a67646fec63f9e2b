-- Notes: small contents that all instances read and replace. They matter for a minute, so they need not survive a crash of the server.

create unlogged table vestibule.notes (
    key     bytea primary key,
    content bytea not null,
    ends_at timestamptz not null
);
create index on vestibule.notes (ends_at);

comment on table vestibule.notes is 'What the fleet has to know together for a minute: outages of authorities, and the refresh tokens that are not to be sent yet.';

-- p_now is clock_timestamp() of the calling statement; number is that time in milliseconds since the Unix epoch.
create function vestibule.read_note(
    p_key bytea, p_now timestamptz, out answer text, out number bigint, out payload bytea
) language plpgsql as $$
begin
    answer := 'note';
    number := floor(extract(epoch from p_now) * 1000)::bigint;
    select n.content into payload from vestibule.notes n where n.key = p_key and n.ends_at > p_now;
    payload := coalesce(payload, '');
end $$;

create function vestibule.replace_note(
    p_lock bigint, p_key bytea, p_before bytea, p_after bytea, p_keep_ms bigint, p_now timestamptz,
    out answer text, out number bigint, out payload bytea
) language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    perform pg_advisory_xact_lock(p_lock);
    number := floor(extract(epoch from p_now) * 1000)::bigint;
    select n.content into payload from vestibule.notes n where n.key = p_key and n.ends_at > p_now;
    payload := coalesce(payload, '');
    if payload <> p_before then
        answer := 'changed';
        return;
    end if;
    answer := 'done';
    if p_after = '' then
        delete from vestibule.notes n where n.key = p_key;
    else
        insert into vestibule.notes as n (key, content, ends_at)
            values (p_key, p_after, p_now + p_keep_ms * interval '1 millisecond')
            on conflict (key) do update set content = excluded.content, ends_at = excluded.ends_at;
    end if;
    -- Each write removes a few that have ended, so the table does not grow.
    delete from vestibule.notes n where n.ctid = any (array(
        select t.ctid from vestibule.notes t where t.ends_at <= p_now and t.key <> p_key limit 16 for update skip locked));
end $$;
