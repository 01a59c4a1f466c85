-- A scan writes a row a customer. Vacuuming after rows that were only added would read them all again while it still runs, for
-- nothing: nobody reads this table by its index alone.
alter table data.duplicate_profile set (autovacuum_vacuum_insert_threshold = -1);
