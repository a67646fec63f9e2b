-- Families of the gateway's own refresh tokens.

create table vestibule.families (
    id          bytea primary key,
    generation  bigint not null,
    advanced_at timestamptz not null,
    record      bytea not null,
    ends_at     timestamptz not null
);
create index on vestibule.families (ends_at);

comment on table vestibule.families is 'Logins at the gateway as the authority: at which generation their refresh token stands.';

-- p_replaced_before: a token replaced until then is not an answer that got lost (now less the grace).
create function vestibule.advance(
    p_id bytea, p_shown bigint, p_replaced_before timestamptz, p_until timestamptz, p_most bigint, p_now timestamptz,
    out answer text, out number bigint, out payload bytea
) language plpgsql as $$
declare
    family record;
begin
    -- The row lock makes those who show the same token at once come one after the other; each sees what the last one left.
    select f.generation, f.advanced_at, f.record into family
        from vestibule.families f where f.id = p_id and f.ends_at > p_now for update;
    if not found or p_shown > family.generation then
        answer := 'unknown';
        return;
    end if;
    number := family.generation;
    if p_shown = family.generation then
        number := least(family.generation + 1, p_most);
        update vestibule.families f set generation = number, advanced_at = p_now, ends_at = p_until where f.id = p_id;
    elsif p_shown + 1 < family.generation or family.advanced_at <= p_replaced_before then
        delete from vestibule.families f where f.id = p_id;
        answer := 'reused';
        return;
    end if;
    answer := 'advanced';
    payload := family.record;
end $$;
