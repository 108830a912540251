-- Records of a time, and the sign-ins of a day by hour: `event` is here so that counting reads the index alone.
CREATE INDEX audit_by_time ON audit_events (at, seq, event);
