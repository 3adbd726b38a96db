extension ControlClient {
    /// `POST /v1/reload`: has the file read again; `dryRun` says what would change.
    public func reload(dryRun: Bool) throws(ControlError) -> ReloadReply {
        try read(ReloadReply.self, from: try request("POST", dryRun ? "/v1/reload?dryRun=1" : "/v1/reload"))
    }
}
