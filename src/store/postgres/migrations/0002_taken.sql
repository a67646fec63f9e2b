-- What may be used once.

create table vestibule.taken (
    key     bytea primary key,
    ends_at timestamptz not null
);
create index on vestibule.taken (ends_at);

comment on table vestibule.taken is 'SHA-256 of login attempts and ID tokens that were used, remembered until ends_at.';
