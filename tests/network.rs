//! Networks by name, and their counts against the paper's (Table 6's parameters; exact ones from the architecture).

use refig::exit::Exit;
use refig::network::{Family, Network, Shortcut};
use refig::recipe::Precision;

fn network(name: &str, shortcut: Shortcut) -> Network {
    Network::parse_cifar(name, shortcut, 10).unwrap()
}

#[test]
fn names_are_read_in_any_case() {
    for name in ["resnet-110", "ResNet-110", "RESNET-110", " resnet-110 "] {
        let network = network(name, Shortcut::A);
        assert_eq!(
            (network.name.as_str(), network.depth()),
            ("resnet-110", 110)
        );
        assert_eq!(network.family, Family::Resnet);
    }
    assert_eq!(network("PLAIN-8", Shortcut::A).blocks, [1, 1, 1]);
}

#[test]
fn impossible_names_are_refused_with_what_is_possible() {
    let cases = [
        ("resnet-21", "20 and 26"),
        ("resnet-2", "8 and 14"),
        ("resnet-0", "8 and 14"),
        ("vgg-16", "plain and resnet"),
        ("resnet20", "plain-20 or resnet-20"),
        ("resnet-+20", "6n+2"),
        ("plain-020", "6n+2"),
        ("plain-", "6n+2"),
        ("plain-99999999999999999999", "6n+2"),
    ];
    for (name, remedy) in cases {
        let error = Network::parse_cifar(name, Shortcut::A, 10).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(remedy), "{text}");
    }
}

#[test]
fn parameters_are_exact() {
    let exact = [
        (20, 269_722),
        (32, 464_154),
        (44, 658_586),
        (56, 853_018),
        (110, 1_727_962),
        (1202, 19_421_274),
    ];
    for (depth, parameters) in exact {
        for family in ["plain", "resnet"] {
            let network = network(&format!("{family}-{depth}"), Shortcut::A);
            assert_eq!(network.parameter_count(), parameters, "{}", network.name);
            let rows = network.layers(32);
            assert_eq!(
                rows.iter().map(|row| row.parameters).sum::<u64>(),
                parameters
            );
        }
    }
    // Two projections with their batch norms: 16x32 + 2x32 + 32x64 + 2x64; C adds seven square ones.
    let b = network("resnet-20", Shortcut::B).parameter_count();
    assert_eq!(b, 269_722 + 512 + 64 + 2048 + 128);
    let square = |width: u64| width * width + 2 * width;
    assert_eq!(
        network("resnet-20", Shortcut::C).parameter_count(),
        b + 3 * square(16) + 2 * square(32) + 2 * square(64)
    );
}

#[test]
fn names_of_table_1_are_the_imagenet_networks() {
    // torchvision's parameters with option B, and the paper's multiply-adds in thousand millions.
    let table = [
        (18, 11_689_512, 1.8),
        (34, 21_797_672, 3.6),
        (50, 25_557_032, 3.8),
        (101, 44_549_160, 7.6),
        (152, 60_192_808, 11.3),
    ];
    for (depth, parameters, billions) in table {
        let name = format!("ResNet-{depth}");
        let (network, size) = Network::parse(&name, Some(Shortcut::B), None).unwrap();
        assert_eq!((size, network.classes, network.depth()), (224, 1000, depth));
        assert_eq!(network.parameter_count(), parameters, "{name}");
        let ours = network.multiply_adds(224) as f64 / 1e9;
        assert!((ours - billions).abs() < 0.03 * billions, "{name} {ours}");
    }
    let rows = Network::parse("resnet-50", None, None)
        .unwrap()
        .0
        .layers(224);
    let output = |name: &str| rows.iter().find(|row| row.name == name).unwrap().output;
    assert_eq!(output("conv1"), [64, 112, 112]);
    assert_eq!(output("maxpool"), [64, 56, 56]);
    assert_eq!(output("layer1.2.conv3"), [256, 56, 56]);
    assert_eq!(output("layer4.2.conv3"), [2048, 7, 7]);
    // Bottlenecks have projections unless told otherwise, the others do not.
    let shortcut = |name: &str| Network::parse(name, None, None).unwrap().0.shortcut;
    assert_eq!(
        (shortcut("resnet-101"), shortcut("resnet-34")),
        (Shortcut::B, Shortcut::A)
    );
}

#[test]
fn the_image_size_decides_where_a_name_has_two_meanings() {
    let parse =
        |name: &str, size| Network::parse(name, None, size).map(|found| (found.0.classes, found.1));
    assert_eq!(parse("resnet-50", Some(32)).unwrap(), (10, 32));
    assert_eq!(parse("resnet-50", Some(160)).unwrap(), (1000, 160));
    assert_eq!(parse("resnet-20", None).unwrap(), (10, 32));
    assert_eq!(parse("resnet-20", Some(64)).unwrap(), (10, 64));
    assert!(parse("resnet-18", Some(32)).is_err());
    assert!(parse("plain-50", Some(224)).unwrap().0 == 10);
    for name in ["resnet-018", "vgg-18", "resnet-19"] {
        let error = parse(name, None).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage, "{name}");
    }
}

#[test]
fn the_stride_of_bottlenecks_moves_to_the_3x3() {
    let (authors, size) = Network::parse("resnet-50", None, None).unwrap();
    let torchvision = Network {
        stride_in: refig::network::StrideIn::Middle,
        ..authors.clone()
    };
    // torchvision's count is 4.09 thousand millions.
    let counts = [&authors, &torchvision].map(|network| network.multiply_adds(size) as f64 / 1e9);
    assert!((counts[0] - 3.86).abs() < 0.01, "{counts:?}");
    assert!((counts[1] - 4.09).abs() < 0.01, "{counts:?}");
    assert_eq!(authors.parameters(), torchvision.parameters());
    // Left out of files where it is the authors', so that identities stay.
    let written = |network: &Network| serde_json::to_value(network).unwrap();
    assert!(written(&authors).get("stride_in").is_none());
    assert_eq!(written(&torchvision)["stride_in"], "3x3");
    let read: Network = serde_json::from_value(written(&torchvision)).unwrap();
    assert_eq!(read, torchvision);
}

#[test]
fn multiply_adds_are_exact() {
    // By hand: 432*1024 + 6*2304*1024 + (4608 + 5*9216)*256 + (18432 + 5*36864)*64 + 640.
    let resnet_20 =
        432 * 1024 + 6 * 2304 * 1024 + (4608 + 5 * 9216) * 256 + (18432 + 5 * 36864) * 64 + 640;
    assert_eq!(
        network("resnet-20", Shortcut::A).multiply_adds(32),
        resnet_20
    );
    assert_eq!(format!("{:.2}", resnet_20 as f64 / 1e6), "40.55");
    assert_eq!(
        network("plain-20", Shortcut::A).multiply_adds(32),
        resnet_20
    );
    // A quarter of the pixels, the classifier as before.
    assert_eq!(
        network("resnet-20", Shortcut::A).multiply_adds(16),
        (resnet_20 - 640) / 4 + 640
    );
    // 1x1 projections of 16x32 and 32x64 at 16x16 and 8x8.
    assert_eq!(
        network("resnet-20", Shortcut::B).multiply_adds(32),
        resnet_20 + 512 * 256 + 2048 * 64
    );
}

#[test]
fn a_description_lists_layers_and_shapes() {
    let network = network("resnet-20", Shortcut::A);
    let description = network.describe(32);
    let row = |name: &str| {
        description
            .layers
            .iter()
            .find(|row| row.name == name)
            .unwrap()
    };
    assert_eq!(row("conv1").output, [16, 32, 32]);
    assert_eq!(row("layer2.0.conv1").output, [32, 16, 16]);
    assert_eq!(row("layer3.2.conv2").output, [64, 8, 8]);
    assert_eq!(row("avgpool").output, [64, 1, 1]);
    assert_eq!(row("fc").output, [10, 1, 1]);
    // Convolution and batch norm, 4 bytes each.
    assert_eq!(row("conv1").activation_bytes, 2 * 4 * 16 * 32 * 32);
    let outputs: u64 = 7 * 16 * 1024 + 6 * 32 * 256 + 6 * 64 * 64;
    assert_eq!(description.activation_bytes, 8 * outputs + 4 * 64 + 4 * 10);
    let text = description.text();
    assert!(
        text.contains("269,722 parameters")
            && text.contains("layer2.0.conv1")
            && text.contains("32x16x16"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&description.json()).unwrap();
    assert_eq!(json["parameters"], 269_722);
    assert_eq!(json["multiply_adds"], network.multiply_adds(32));
    assert_eq!(json["layers"][0]["name"], "conv1");
}

#[test]
fn a_step_takes_the_memory_that_was_measured() {
    // Peak resident memory of `refig bench step` on the CPU, per image between batches of 8 and 12 (ResNet-34, option A)
    // and of 4 and 8 (ResNet-50): 39.2 and 108.5 MB, of which 0.6 are the mini-batch's pixels.
    for (name, measured) in [("resnet-34", 39.2), ("resnet-50", 108.5)] {
        let (network, size) = Network::parse(name, None, None).unwrap();
        let step = |batch| network.memory(size, batch, None, Precision::Fp32).kept;
        let image = (step(8).total - step(7).total) as f64 / 1e6 + 0.6;
        assert!((image / measured - 1.0).abs() < 0.02, "{name}: {image} MB");
    }
}
