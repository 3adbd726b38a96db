import Testing

/// Everything that touches the system, one at a time.
@Suite(.serialized) struct LinuxIOTests {}
