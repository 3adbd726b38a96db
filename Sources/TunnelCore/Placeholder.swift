enum TunnelCorePlaceholder {}
