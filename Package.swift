// swift-tools-version: 6.2
import PackageDescription

// Every target of ours is built in Swift 6 mode with strict memory safety: each use of an unsafe construct
// is spelled `unsafe` and stands in few files. `make` turns warnings into errors.
var settings: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableExperimentalFeature("Lifetimes"),
    .enableExperimentalFeature("SafeInteropWrappers"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
if Context.environment["WARNINGS_AS_ERRORS"] == "1" {
    settings.append(.treatAllWarnings(as: .error))
}

// The tests look inside the core and the Linux edges, also in release builds. What that costs is some code that could have been left out;
// what is inlined and specialised stays the same.
let testedSettings = settings + [.unsafeFlags(["-enable-testing"])]

let cSettings: [CSetting] = [.unsafeFlags(["-O2", "-Wall", "-Wextra"])]

let package = Package(
    name: "gateway",
    products: [
        .executable(name: "gateway", targets: ["Gateway"]),
        .executable(name: "gatewayctl", targets: ["gatewayctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        // For the BoringSSL inside, of which one file uses one interface: exactly this version.
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // The C edges: a thin shim each, annotated so that Swift sees spans.
        .target(name: "CTun", cSettings: cSettings),
        .target(name: "CConfine", cSettings: cSettings, linkerSettings: [.linkedLibrary("seccomp")]),
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .target(name: "CBlake2", cSettings: cSettings, linkerSettings: [.linkedLibrary("b2")]),
        .target(name: "CISAL", cSettings: cSettings, linkerSettings: [.linkedLibrary("isal")]),
        .target(name: "CZlib", cSettings: cSettings, linkerSettings: [.linkedLibrary("z")]),
        .target(name: "CZstd", cSettings: cSettings, linkerSettings: [.linkedLibrary("zstd")]),

        // The values that every layer speaks of.
        .target(name: "Addresses", swiftSettings: settings),
        .target(name: "Keys", dependencies: ["CSodium"], swiftSettings: settings),

        // The core: no sockets, no clock, no randomness of its own.
        .target(
            name: "TunnelCore",
            dependencies: [
                "Addresses", "Keys", "CSodium", "CBlake2", "CISAL", "CZlib", "CZstd",
                .product(name: "BasicContainers", package: "swift-collections"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: testedSettings),

        // Linux: devices, sockets, netlink, epoll. Knows nothing of the protocol.
        .target(name: "LinuxIO", dependencies: ["Addresses", "CConfine", "CTun"], swiftSettings: testedSettings),

        // What a person and a tool see: config file, JSON models, the client of the control socket.
        .target(name: "Control", dependencies: ["Addresses", "Keys"], swiftSettings: testedSettings),

        // The process beside the daemon that has the rights which the daemon gives up, and how it is asked.
        .target(
            name: "Steward", dependencies: ["Addresses", "Keys", "LinuxIO", "Control", "CTun"],
            swiftSettings: testedSettings),

        // Captures, read and written; and what `gatewayctl estimate` does: the core on a wire in memory.
        .target(name: "Capture", swiftSettings: testedSettings),
        .target(
            name: "Estimate", dependencies: ["Addresses", "Keys", "TunnelCore", "Control"],
            swiftSettings: testedSettings),

        .executableTarget(
            name: "Gateway",
            dependencies: [
                "Addresses", "Keys", "TunnelCore", "LinuxIO", "Control", "Capture", "Steward", "CTun",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "gatewayctl",
            dependencies: [
                "Addresses", "Keys", "TunnelCore", "Control", "Capture", "Estimate", "CTun",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        // Nanoseconds of the steps of a packet: `make bench-micro`.
        .executableTarget(
            name: "MicroBenchmarks", dependencies: ["Addresses", "LinuxIO", "TunnelCore"], path: "bench/Micro",
            swiftSettings: settings),

        .testTarget(name: "AddressesTests", dependencies: ["Addresses"], swiftSettings: settings),
        .testTarget(name: "KeysTests", dependencies: ["Keys"], swiftSettings: settings),
        // Tunnels on a wire in memory, packets and records made by hand: what tests of the core and fuzz targets are made of.
        .target(
            name: "TestKit",
            dependencies: [
                "Addresses", "Keys", "TunnelCore", "CZlib",
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            path: "Tests/Kit", swiftSettings: testedSettings),
        .testTarget(
            name: "TunnelCoreTests",
            dependencies: [
                "Addresses", "Keys", "TunnelCore", "TestKit", "CSodium", "CBlake2", "CZlib",
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .testTarget(name: "LinuxIOTests", dependencies: ["Addresses", "CConfine", "LinuxIO"], swiftSettings: settings),
        .testTarget(
            name: "StewardTests", dependencies: ["Addresses", "Keys", "LinuxIO", "Control", "Steward"],
            swiftSettings: settings),
        .testTarget(name: "CaptureTests", dependencies: ["Capture"], swiftSettings: settings),
        .testTarget(name: "EstimateTests", dependencies: ["Estimate"], swiftSettings: settings),
        .testTarget(name: "ControlTests", dependencies: ["Addresses", "Keys", "Control"], swiftSettings: settings),

        // What is done with the input of a fuzzer; the tests do it with all inputs that are kept.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Addresses", "Keys", "TunnelCore", "TestKit", "CZlib", "Control", "Capture", "Steward",
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            path: "Tests/Fuzz/Targets", swiftSettings: settings),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Replay", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzzer itself, which only an instrumented build can link: `make fuzz`.
if Context.environment["FUZZ"] == "1" {
    package.targets.append(
        .executableTarget(
            name: "Fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Driver", swiftSettings: settings))
}
